/** Ctrl-C while slides are read for what no checkpoint is of: scales, validation, what a model remembers, testing. */
import { HistogradError } from '../errors.ts';
import type { BagSource } from './bag-source.ts';
import type { TrainTask } from './task.ts';

/** The source of a task; once its signal aborts, it ends with the error `interrupted` instead of the next batch or piece. */
export function stoppable({
  source,
  signal,
  record,
}: Pick<TrainTask, 'source' | 'signal' | 'record'>): BagSource {
  if (!signal) return source;
  async function* watched<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const item of items) {
      if (signal?.aborted) throw interruption('while it read slides', record);
      yield item;
    }
  }
  return {
    ...source,
    batches: (order, sample) => watched(source.batches(order, sample)),
    ...(source.pieces && {
      pieces: (slide, rows, sample) => watched(source.pieces!(slide, rows, sample)),
    }),
  };
}

/** @param when words after "was interrupted" */
export function interruption(when: string, record: TrainTask['record']): HistogradError {
  return new HistogradError(
    'interrupted',
    `Training was interrupted ${when}.`,
    record
      ? 'What is done is kept: run the same command with --resume to go on.'
      : 'Nothing was kept: train with an output folder to be able to resume.',
  );
}
