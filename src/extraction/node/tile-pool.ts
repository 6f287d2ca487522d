/** Tiles read by worker threads, so that decoding overlaps the GPU. */
import { Tinypool } from 'tinypool';
import { HistogradError } from '../../errors.ts';
import type { RgbImage } from '../../slides/slide.ts';
import type { TileTask } from '../tile-task.ts';

export interface TilePool {
  read(path: string, task: TileTask): Promise<RgbImage>;
  close(): Promise<void>;
}

/** @param worker the built tile-worker */
export function createTilePool(threads: number, worker: URL): TilePool {
  const pool = new Tinypool({
    filename: worker.href,
    minThreads: threads,
    maxThreads: threads,
    runtime: 'worker_threads',
    isolateWorkers: false,
  });
  return {
    async read(path, task) {
      try {
        const data: Uint8Array = await pool.run({ path, ...task });
        const { size } = task.plan;
        return { width: size, height: size, data };
      } catch (cause) {
        throw asHistogradError(cause);
      }
    },
    close: () => pool.destroy(),
  };
}

/** Errors lose their class between threads. */
function asHistogradError(cause: unknown): unknown {
  if (cause instanceof HistogradError || !(cause instanceof Error)) return cause;
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
  if (!code) return cause;
  const [problem, advice = 'Check the file.'] = cause.message.split(/\n {2}What to do: /);
  return new HistogradError(code, problem!, advice, { cause });
}
