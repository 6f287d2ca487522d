import code from '../../shaders/grad-scaler.wgsl';
import type { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { mul } from '../ops/binary.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { clipScaledGradNorm } from './grad-norm.ts';
import { requireOption } from './require-option.ts';

const kernel = defineKernel('grad-scaler', code);

export interface GradScalerOptions {
  readonly initScale: number;
  /** On the scale after `growthInterval` steps in a row with finite gradients. */
  readonly growthFactor: number;
  /** On the scale after a step with a gradient that is not finite. */
  readonly backoffFactor: number;
  readonly growthInterval: number;
}

/** Those of torch.cuda.amp.GradScaler. */
const DEFAULTS: GradScalerOptions = {
  initScale: 65536,
  growthFactor: 2,
  backoffFactor: 0.5,
  growthInterval: 2000,
};

/** As PyTorch's scaler saves it; plain numbers. */
export interface GradScalerState {
  readonly scale: number;
  readonly growth_factor: number;
  readonly backoff_factor: number;
  readonly growth_interval: number;
  readonly _growth_tracker: number;
}

/**
 * Dynamic loss scaling (torch.cuda.amp.GradScaler; Micikevicius et al. 2018), for gradients that float16 would lose.
 * The loss is multiplied by a scale that is as large as goes well: a step in which a gradient overflowed is left out
 * and the scale halved, and after 2000 steps without one it is doubled.
 *
 * The scale and its counts live on the GPU and nothing is read back, so that a step stays one submission and can be
 * captured. Of one step:
 *
 * ```ts
 * backward(scaler.scale(loss));
 * const clip = scaler.unscale(model.namedParameters().values(), maxNorm);
 * optimizer.step(clip); // leaves itself out where clip says so; its step count does not move then
 * const status = scaler.update(clip);
 * optimizer.zeroGrad();
 * ```
 *
 * It differs from PyTorch's in this: the gradients of the parameters stay scaled, since `clip` unscales them inside the
 * optimiser's kernel; and each optimiser needs a scaler of its own. With scales that are powers of two, nothing is rounded.
 */
export class GradScaler {
  readonly #device: Device;
  #options: GradScalerOptions;
  readonly #scale: Tensor;
  /** Growth tracker, and steps left out in a row. */
  readonly #counts: Tensor;

  /** @throws HistogradError `option` */
  constructor(device: Device, options: Partial<GradScalerOptions> = {}) {
    const all = { ...DEFAULTS, ...options };
    check(all);
    this.#device = device;
    this.#options = all;
    this.#scale = keep(Tensor.scalar(device, all.initScale));
    this.#counts = keep(Tensor.from(device, new Uint32Array(2)));
  }

  /** The loss, float32 of one element, times the scale; gradients pass. */
  scale(loss: Tensor): Tensor {
    if (loss.size === 1) return mul(loss, this.#scale);
    throw new HistogradError(
      'shape',
      `GradScaler.scale: expected a loss of one element, found [${loss.shape.join(', ')}].`,
      'Reduce it first, with mean() or sum().',
    );
  }

  /**
   * `clipGradNorm` of the gradients as they are without the scale.
   *
   * @returns float32 [norm, factor, 1 when finite else 0], for an optimiser's `step` and for `update`
   * @throws HistogradError as `clipGradNorm`
   */
  unscale(parameters: Iterable<Parameter>, maxNorm?: number): Tensor {
    return clipScaledGradNorm(parameters, this.#scale, maxNorm);
  }

  /**
   * Adapts the scale, after the optimiser's step.
   *
   * @param clip from `unscale`
   * @returns float32 [the scale from now on, steps left out in a row], for `requireUsableScale`
   */
  update(clip: Tensor): Tensor {
    const status = Tensor.empty(this.#device, [2], 'f32', 'loss scale');
    this.#device.run(kernel, 'update', {
      buffers: {
        clip: clip.buffer,
        scale: this.#scale.buffer,
        counts: this.#counts.buffer,
        status: status.buffer,
      },
      params: () => ({
        growth_factor: this.#options.growthFactor,
        backoff_factor: this.#options.backoffFactor,
        growth_interval: this.#options.growthInterval,
      }),
      groups: 1,
    });
    this.#scale.bumpVersion();
    return status;
  }

  /** PyTorch's names and numbers. Waits for the GPU. */
  async stateDict(): Promise<GradScalerState> {
    const { growthFactor, backoffFactor, growthInterval } = this.#options;
    const [scale, counts] = await Promise.all([this.#scale.item(), this.#counts.data()]);
    return {
      scale,
      growth_factor: growthFactor,
      backoff_factor: backoffFactor,
      growth_interval: growthInterval,
      _growth_tracker: counts[0]!,
    };
  }

  /** @throws HistogradError `checkpoint-mismatch` when it is not the state of a scaler; `option` as the constructor */
  loadStateDict(state: Readonly<Partial<Record<keyof GradScalerState, unknown>>>): void {
    const number = (name: keyof GradScalerState): number => {
      const value = state[name];
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      throw mismatch(`${name}: expected a number, found ${String(value)}`);
    };
    const options = {
      initScale: number('scale'),
      growthFactor: number('growth_factor'),
      backoffFactor: number('backoff_factor'),
      growthInterval: number('growth_interval'),
    };
    const tracker = number('_growth_tracker');
    check(options);
    if (!Number.isInteger(tracker) || tracker < 0) {
      throw mismatch(`_growth_tracker: expected a count, found ${tracker}`);
    }
    this.#options = options;
    this.#scale.assign(Float32Array.of(options.initScale));
    this.#counts.assign(Uint32Array.of(tracker, 0));
  }

  dispose(): void {
    this.#scale.dispose();
    this.#counts.dispose();
  }
}

/** Below it nothing overflows but what overflows anyway: fairseq's `--min-loss-scale`, 30 halvings below the default. */
const MIN_SCALE = 1e-4;

/**
 * Throws when the scale has fallen so low that no scale helps: then gradients are not finite for another reason. To be
 * called with what `GradScaler.update` returned, as it is read back; a few steps late does no harm, as all are left out.
 *
 * @param step the step that it is of, from 1
 * @throws HistogradError `loss-scale`
 */
export function requireUsableScale({
  scale,
  skipped,
  step,
}: {
  scale: number;
  skipped: number;
  step: number;
}): void {
  if (scale >= MIN_SCALE) return;
  throw new HistogradError(
    'loss-scale',
    `Mixed precision: after step ${step} the loss scale is ${scale}, expected at least ${MIN_SCALE}: the last ${skipped} steps had gradients that were not finite, and were left out.`,
    'Lower the learning rate, scale the features, or train in float32, which names the layer where it began.',
  );
}

function check({ initScale, growthFactor, backoffFactor, growthInterval }: GradScalerOptions) {
  const { fround } = Math;
  const scale = fround(initScale);
  const finite = scale > 0 && Number.isFinite(scale);
  requireOption(finite, 'GradScaler, initScale', 'a float32 number above 0', initScale);
  const grows = growthFactor > 1 && Number.isFinite(growthFactor);
  requireOption(grows, 'GradScaler, growthFactor', 'a number above 1', growthFactor);
  const falls = backoffFactor > 0 && backoffFactor < 1;
  requireOption(falls, 'GradScaler, backoffFactor', 'a number between 0 and 1', backoffFactor);
  const counts = Number.isInteger(growthInterval) && growthInterval > 0 && growthInterval < 2 ** 32;
  requireOption(counts, 'GradScaler, growthInterval', 'a whole number above 0', growthInterval);
}

function mismatch(problem: string): HistogradError {
  return new HistogradError(
    'checkpoint-mismatch',
    `GradScaler: not the state of a loss scale: ${problem}.`,
    'Resume with the checkpoint of a training in mixed precision.',
  );
}
