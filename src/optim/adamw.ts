import code from '../../shaders/adamw.wgsl';
import type { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { StateTensor } from '../nn/module.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';

const kernel = defineKernel('adamw', code);

export interface AdamWOptions {
  /** Learning rate; `step` may be given another one (schedules). */
  lr: number;
  betas: readonly [number, number];
  eps: number;
  /** Decoupled: p ← p (1 − lr · weightDecay) before the step. */
  weightDecay: number;
}

/** torch.optim.AdamW's defaults. */
const DEFAULTS: AdamWOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 1e-2 };

interface Moments {
  m: Tensor;
  v: Tensor;
}

/** Adam with decoupled weight decay (Loshchilov & Hutter 2019), one kernel per parameter. */
export class AdamW {
  readonly options: AdamWOptions;
  readonly #parameters: ReadonlyMap<string, Parameter>;
  readonly #moments = new Map<string, Moments>();
  #steps = 0;

  constructor(parameters: ReadonlyMap<string, Parameter>, options: Partial<AdamWOptions> = {}) {
    this.#parameters = parameters;
    this.options = { ...DEFAULTS, ...options };
    for (const [name, { device, shape }] of parameters) {
      const zeros = () => keep(Tensor.zeros(device, shape));
      this.#moments.set(name, { m: zeros(), v: zeros() });
    }
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps;
  }

  zeroGrad(): void {
    for (const parameter of this.#parameters.values()) parameter.grad = null;
  }

  /**
   * Updates all parameters that have a gradient.
   *
   * @param clip from `clipGradNorm`: scales the gradients; a step with a non-finite norm changes nothing
   * @param lr this step's learning rate
   */
  step(clip: Tensor, lr = this.options.lr): void {
    this.#steps++;
    const { betas, eps, weightDecay } = this.options;
    for (const [name, parameter] of this.#parameters) {
      const { grad, device } = parameter;
      if (!grad) continue;
      const { m, v } = this.#moments.get(name)!;
      device.run(kernel, 'step', {
        buffers: {
          p: parameter.buffer,
          g: grad.buffer,
          m: m.buffer,
          v: v.buffer,
          clip: clip.buffer,
        },
        params: {
          vecs: Math.ceil(parameter.size / 4),
          lr,
          beta1: betas[0],
          beta2: betas[1],
          eps,
          weight_decay: weightDecay,
          correction1: 1 - betas[0] ** this.#steps,
          correction2_sqrt: Math.sqrt(1 - betas[1] ** this.#steps),
        },
        ...elementwisePlan(device, parameter.size),
      });
    }
  }

  /** First and second moments as `m.<name>` and `v.<name>`; the step count is `steps`. */
  async stateDict(): Promise<Map<string, StateTensor>> {
    const state = new Map<string, StateTensor>();
    for (const [name, { m, v }] of this.#moments) {
      state.set(`m.${name}`, { shape: m.shape, data: await m.data() });
      state.set(`v.${name}`, { shape: v.shape, data: await v.data() });
    }
    return state;
  }

  loadStateDict(state: ReadonlyMap<string, StateTensor>, steps: number): void {
    this.#steps = steps;
    for (const [name, { m, v }] of this.#moments) {
      for (const [key, tensor] of Object.entries({ m, v })) {
        const saved = state.get(`${key}.${name}`);
        if (!saved || saved.data.length !== tensor.size) {
          throw new HistogradError(
            'checkpoint-mismatch',
            `The optimiser state has no ${key}.${name} of ${tensor.size} values.`,
            'Resume with the model and sizes that the checkpoint was written with.',
          );
        }
        tensor.assign(saved.data);
      }
    }
  }

  dispose(): void {
    for (const { m, v } of this.#moments.values()) {
      m.dispose();
      v.dispose();
    }
    this.#moments.clear();
  }
}
