/** What a training would be, checked before anything is computed. */
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import { checkTask, neighbourWarning } from '../../training/check-task.ts';
import type { TrainSettings } from '../protocol.ts';
import type { Dataset } from './dataset.ts';
import { type Deal, deal } from './deal.ts';
import { chosenGenes, pickColumns, trainOptions } from './settings.ts';

/** @throws HistogradError `no-truth` (data without expression), and those of `deal`, `chosenGenes` and `checkTask` */
export async function planTraining(
  device: Device,
  dataset: Dataset,
  settings: TrainSettings,
): Promise<Deal & { readonly totalSteps: number }> {
  const { summary, targets, source } = dataset;
  if (!targets) {
    throw new HistogradError(
      'no-truth',
      'These data have no expression to learn from.',
      'Open them together with a table of expression, or open a trained model to predict them.',
    );
  }
  const { names, columns } = chosenGenes(settings, dataset);
  const options = trainOptions(settings, dataset, names.length);
  const dealt = await deal(dataset, settings);
  const { model: kind, modelOptions, epochs, batchSize } = settings;
  checkTask({
    ...{ device, source, genes: names, kind, modelOptions, options },
    targets: pickColumns(targets, summary.genes.length, columns),
    split: dealt.samples,
  });
  const trains = kind !== 'knn' && kind !== 'ridge';
  const steps = Math.ceil(dealt.samples.train.length / batchSize);
  const same = neighbourWarning(kind, modelOptions, dealt.samples.train.length);
  const remark = same && `${same[0]!.toUpperCase()}${same.slice(1)}.`;
  const note = [dealt.split.note, remark].filter((text) => text !== null).join(' ') || null;
  return {
    samples: dealt.samples,
    split: { ...dealt.split, note },
    totalSteps: trains ? epochs * steps : 0,
  };
}
