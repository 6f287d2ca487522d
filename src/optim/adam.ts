import code from '../../shaders/adam.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recipe } from './bundles.ts';
import { type GroupOptions, Optimizer, type Parameters } from './optimizer.ts';
import { requireOption } from './require-option.ts';
import type { PerStep } from './step-counts.ts';

const kernel = defineKernel('adam', code);

export interface AdamOptions extends GroupOptions {
  readonly betas: readonly [number, number];
  readonly eps: number;
}

/** torch.optim.Adam's defaults. */
const DEFAULTS: AdamOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 };

/**
 * Adam (Kingma & Ba 2015; torch.optim.Adam): weight decay adds weightDecay · p to the gradient. Its state:
 * `m.<name>` and `v.<name>` (PyTorch's exp_avg and exp_avg_sq). From step 2^20 on the bias correction stays what it
 * is then: none, but for betas above 0.99998.
 *
 * @throws HistogradError `option`
 */
export class Adam extends Optimizer<AdamOptions> {
  /** AdamW's p ← p (1 − lr · weightDecay) instead. */
  protected readonly decoupled: boolean = false;

  constructor(parameters: Parameters<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(parameters, { ...DEFAULTS, ...options });
  }

  protected check({ lr, betas, eps, weightDecay }: AdamOptions): void {
    requireOption(lr >= 0, 'lr', 'a number of at least 0', lr);
    requireOption(
      betas.every((b) => b >= 0 && b < 1),
      'betas',
      'two numbers in [0, 1)',
      betas.join(', '),
    );
    requireOption(eps >= 0, 'eps', 'a number of at least 0', eps);
    requireOption(weightDecay >= 0, 'weightDecay', 'a number of at least 0', weightDecay);
  }

  protected stateNames(): readonly string[] {
    return ['m', 'v'];
  }

  protected perStep({ betas }: AdamOptions): PerStep {
    const [beta1, beta2] = betas;
    return {
      settled: Math.max(lastsFor(beta1), lastsFor(beta2)),
      at: (step) => [1 - beta1 ** step, Math.sqrt(1 - beta2 ** step)],
    };
  }

  protected recipe({ betas, eps, weightDecay }: AdamOptions, lr: number): Recipe {
    return {
      kernel,
      entries: ['step', 'step3'],
      params: {
        lr,
        beta1: betas[0],
        beta2: betas[1],
        rest1: 1 - betas[0],
        rest2: 1 - betas[1],
        eps,
        weight_decay: weightDecay,
      },
      overrides: { DECOUPLED: this.decoupled },
    };
  }
}

/** Steps until 1 - beta^step is 1 in float32. */
function lastsFor(beta: number): number {
  return beta > 0 ? Math.log(2 ** -25) / Math.log(beta) + 1 : 1;
}
