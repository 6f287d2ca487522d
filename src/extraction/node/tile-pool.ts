/** Tiles read by worker threads, so that decoding overlaps the GPU. */
import { Tinypool } from 'tinypool';
import { HistogradError } from '../../errors.ts';
import type { RgbImage } from '../../slides/slide.ts';
import type { TileTask } from '../tile-task.ts';

export interface TilePool {
  read(path: string, task: TileTask): Promise<RgbImage>;
  close(): Promise<void>;
}

/** A HistogradError's content. */
export interface TileFailure {
  readonly code: string;
  readonly message: string;
  readonly advice: string;
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
      const result: Uint8Array | TileFailure = await pool.run({ path, ...task });
      if (!(result instanceof Uint8Array)) {
        const [problem] = result.message.split('\n  What to do: ');
        throw new HistogradError(result.code, problem!, result.advice);
      }
      const { size } = task.plan;
      return { width: size, height: size, data: result };
    },
    close: () => pool.destroy(),
  };
}
