/** Finds where a batch's values first become NaN or infinite, by computing it again with eyes open. */
import { backward, noGrad } from '../autograd/tape.ts';
import { HistogradError } from '../errors.ts';
import type { Bags, ExpressionModel } from '../models/model.ts';
import { observeOps } from '../ops/op.ts';
import { keep, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { uploadBatch } from './batch.ts';
import type { TrainingState } from './checkpoint.ts';
import type { StepResult } from './loss-monitor.ts';
import { patchesOf, stepLimit } from './streaming.ts';
import type { TrainTask } from './task.ts';

/**
 * The error to throw for a step whose loss or gradient was not finite: which step, which slides, and which layer. The
 * batch is computed again with the parameters as they are now: losses come back late, after some more steps.
 *
 * @param goodStep the step of the last checkpoint; 0 if there is none
 */
export async function explainNonFinite(
  task: TrainTask,
  state: TrainingState,
  allTargets: Float32Array,
  { step, epoch, slides, loss, generatorOffset }: StepResult,
  goodStep: number,
): Promise<HistogradError> {
  const { source, options, record, kind } = task;
  const { model, generator, scales } = state;
  const sample = { maxPatches: options.maxPatches, seed: options.seed, epoch: epoch - 1 };
  const streamed = patchesOf(source, slides, sample) > stepLimit(task);
  let where = streamed
    ? ' Its slides go through the GPU in pieces; the layer was not looked for.'
    : '';
  for await (const batch of source.batches(streamed ? [] : [slides], sample)) {
    const { bags, targets } = uploadBatch(task, scales, allTargets, batch);
    model.train();
    try {
      generator.seek(generatorOffset);
      const first = await firstNonFiniteResult(model, bags, targets);
      generator.seek(generatorOffset);
      const spoilt = first ? [] : await nonFiniteGradients(model, bags, targets);
      where = ` ${finding(first, spoilt, Number.isFinite(loss), state.progress.step)}`;
    } finally {
      bags.features.dispose();
      bags.segments.dispose();
      targets.dispose();
    }
  }
  const what = Number.isFinite(loss) ? 'gradient' : 'loss';
  const names = slides.map((slide) => source.slides[slide]!.id).join(', ');
  const kept =
    record && goodStep > 0
      ? ` The last good checkpoint, of step ${goodStep}, is kept in ${record.place}.`
      : '';
  return new HistogradError(
    `non-finite-${what}`,
    `Training ${kind} stopped: the ${what} of step ${step} (epoch ${epoch}; slides ${names}) is ${what === 'loss' ? loss : 'not finite'}.${where}`,
    `Lower the learning rate (--lr), scale the features (--feature-scale zscore) or clip gradients (--max-norm).${kept}`,
  );
}

function finding(
  first: string | null,
  spoilt: readonly string[],
  lossWasFinite: boolean,
  stepNow: number,
): string {
  const again = `recomputed with the parameters of step ${stepNow}`;
  if (first && lossWasFinite) {
    return `The parameters have since changed: ${again}, the first non-finite value is in ${first}.`;
  }
  if (first) return `Batch ${again}: the first non-finite value is in ${first}.`;
  if (spoilt.length > 0)
    return `Batch ${again}: not finite are the gradients of ${spoilt.join(', ')}.`;
  return lossWasFinite
    ? `Batch ${again}: every single value is finite, so that only their norm overflows float32.`
    : `Batch ${again}: every value is finite; the parameters have since changed.`;
}

/**
 * Where the forward pass of `model.loss` first gives a non-finite value, in words; null if nowhere.
 */
async function firstNonFiniteResult(
  model: ExpressionModel,
  bags: Bags,
  targets: Tensor,
): Promise<string | null> {
  const seen: { where: string; values: Tensor }[] = [];
  const see = (where: string, tensor: Tensor) => seen.push({ where, values: keep(tensor.view()) });
  see('the features of the batch', bags.features);
  see('the targets of the batch', targets);
  scope(() =>
    noGrad(() =>
      observeOps(
        (op, layer, output) => see(layer ? `layer ${layer} (${op})` : `operation ${op}`, output),
        () => model.loss(bags, targets),
      ),
    ),
  );
  try {
    for (const { where, values } of seen) {
      if (!(await allFinite(values))) return where;
    }
    return null;
  } finally {
    for (const { values } of seen) values.dispose();
  }
}

/** The parameters whose gradient of this batch is not finite, the one nearest to the loss first. */
async function nonFiniteGradients(
  model: ExpressionModel,
  bags: Bags,
  targets: Tensor,
): Promise<string[]> {
  const parameters = [...model.namedParameters()];
  scope(() => backward(model.loss(bags, targets)));
  const found: string[] = [];
  for (const [name, parameter] of parameters.reverse()) {
    if (parameter.grad && !(await allFinite(parameter.grad))) found.push(name);
    parameter.grad = null;
  }
  return found;
}

async function allFinite(tensor: Tensor): Promise<boolean> {
  return (await tensor.floats()).every(Number.isFinite);
}
