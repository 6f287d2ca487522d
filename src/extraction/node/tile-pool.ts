/** Tiles read, and judged, by worker threads: decoding overlaps the GPU, scoring takes all cores. */
import { Tinypool } from 'tinypool';
import { HistogradError } from '../../errors.ts';
import type { TileMeasure } from '../../slides/measure-tile.ts';
import type { SlidePath } from '../../slides/node/open-slide.ts';
import type { RgbImage } from '../../slides/slide.ts';
import type { MeasureTask, TileTask } from '../tile-task.ts';

export interface TilePool {
  readonly threads: number;
  read(path: SlidePath, task: TileTask): Promise<RgbImage>;
  measure(path: SlidePath, task: MeasureTask): Promise<TileMeasure>;
  close(): Promise<void>;
}

/** What a thread is asked. */
export type TileRequest = { readonly path: SlidePath } & (TileTask | MeasureTask);

/** What it answers; a HistogradError as data, because between threads errors lose all but their message. */
export type TileReply =
  | { readonly pixels: Uint8Array }
  | { readonly measure: TileMeasure }
  | { readonly failure: Readonly<Record<'code' | 'message' | 'advice', string>> };

/** @param worker the built tile-worker */
export function createTilePool(threads: number, worker: URL): TilePool {
  const pool = new Tinypool({
    filename: worker.href,
    minThreads: threads,
    maxThreads: threads,
    runtime: 'worker_threads',
    isolateWorkers: false,
  });
  const ask = async (request: TileRequest): Promise<TileReply> => {
    const reply: TileReply = await pool.run(request);
    if (!('failure' in reply)) return reply;
    const { code, message, advice } = reply.failure;
    const [problem] = message.split('\n  What to do: ');
    throw new HistogradError(code, problem!, advice);
  };
  return {
    threads,
    async read(path, task) {
      const reply = await ask({ path, ...task });
      if (!('pixels' in reply)) throw new Error('the thread sent no pixels');
      const { size } = task.plan;
      return { width: size, height: size, data: reply.pixels };
    },
    async measure(path, task) {
      const reply = await ask({ path, ...task });
      if (!('measure' in reply)) throw new Error('the thread sent no measure');
      return reply.measure;
    },
    close: () => pool.destroy(),
  };
}
