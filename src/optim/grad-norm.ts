import code from '../../shaders/grad-norm.wgsl';
import type { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { rowPlan } from '../tensor/grid.ts';
import { bindPart, elementParts, type Part } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { requireOption } from './require-option.ts';

const kernel = defineKernel('grad-norm', code);
/** Elements whose squares one row of threads adds up. */
const RUN = 1024;
/**
 * Stands for "do not clip": above any norm whose square float32 holds, and over 1e-6, as for gradients of zero, still no
 * infinity, which WGSL need not keep.
 */
const NO_LIMIT = 1e31;
/** Gradients to a dispatch. */
const FOUR = [0, 1, 2, 3] as const;

/**
 * The norm of all gradients together, and the factor that brings it down to `maxNorm`
 * (torch.nn.utils.clip_grad_norm_), computed and kept on the GPU.
 *
 * @param maxNorm from 0; Infinity (the default) only measures
 * @returns float32 [norm, factor, 1 when finite else 0], for an optimiser's `step`
 * @throws HistogradError `option` for a maxNorm that is negative or NaN; `no-gradient`
 */
export function clipGradNorm(parameters: Iterable<Parameter>, maxNorm = NO_LIMIT): Tensor {
  return clipOf('clipGradNorm', parameters, maxNorm, null);
}

/**
 * The same of gradients that are too large by a factor on the GPU: the norm is that of the gradients without it, and
 * the factor for the optimiser's `step` takes it out.
 *
 * @param lossScale float32, one element
 */
export function clipScaledGradNorm(
  parameters: Iterable<Parameter>,
  lossScale: Tensor,
  maxNorm = NO_LIMIT,
): Tensor {
  return clipOf('GradScaler.unscale', parameters, maxNorm, lossScale);
}

function clipOf(
  caller: string,
  parameters: Iterable<Parameter>,
  maxNorm: number,
  lossScale: Tensor | null,
): Tensor {
  requireOption(maxNorm >= 0, caller, 'a maxNorm of at least 0', maxNorm);
  const grads = [...parameters].flatMap((p) => (p.grad ? [p.grad] : []));
  const device = grads[0]?.device;
  if (!device) {
    throw new HistogradError(
      'no-gradient',
      `${caller}: no parameter has a gradient.`,
      'Call backward() on a loss first.',
    );
  }
  const pieces = grads.flatMap((grad) =>
    elementParts(device, grad.size).map((part) => ({ grad, part, runs: runsOf(part) })),
  );
  const total = sum(pieces.map(({ runs }) => runs));
  const partial = Tensor.empty(device, [total], 'f32', 'gradient norm');
  for (let first = 0, p = 0; p < pieces.length; p += FOUR.length) {
    const four = pieces.slice(p, p + FOUR.length);
    squares(device, four, partial, first);
    first += sum(four.map(({ runs }) => runs));
  }
  const clip = Tensor.empty(device, [3], 'f32', 'gradient norm');
  const buffers = { partial_sums: partial.buffer, clip: clip.buffer };
  const none = FOUR.map(() => 0);
  device.run(kernel, lossScale ? 'finish_unscaled' : 'finish', {
    buffers: lossScale ? { ...buffers, loss_scale: lossScale.buffer } : buffers,
    params: {
      counts: none,
      runs: none,
      total,
      vecs: 0,
      first: 0,
      max_norm: Math.min(maxNorm, NO_LIMIT),
    },
    ...rowPlan(device, 1, total),
  });
  partial.dispose();
  return clip;
}

/** Gradients, or parts of them. */
interface Piece {
  readonly grad: Tensor;
  readonly part: Part;
  readonly runs: number;
}

/** Sums of squares of up to four pieces, from the run `first` on. */
function squares(device: Device, pieces: readonly Piece[], partial: Tensor, first: number): void {
  const runs = pieces.map((piece) => piece.runs);
  const total = sum(runs);
  const bound = FOUR.map((k) => {
    const { grad, part } = pieces[k] ?? pieces[0]!;
    return [`g${k}`, bindPart(grad, part)] as const;
  });
  device.run(kernel, 'squares', {
    buffers: { ...Object.fromEntries(bound), partial_sums: partial.buffer },
    params: {
      counts: FOUR.map((k) => pieces[k]?.part.count ?? 0),
      runs: FOUR.map((k) => sum(runs.slice(0, k))),
      total,
      vecs: RUN / 4,
      first,
      max_norm: 0,
    },
    ...rowPlan(device, total, RUN / 4),
  });
}

function runsOf({ count }: Part): number {
  return Math.ceil(count / RUN);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
