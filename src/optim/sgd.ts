import code from '../../shaders/sgd.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recipe } from './bundles.ts';
import { type GroupOptions, Optimizer, type Parameters } from './optimizer.ts';
import { requireOption } from './require-option.ts';
import type { PerStep } from './step-counts.ts';

const kernel = defineKernel('sgd', code);

export interface SgdOptions extends GroupOptions {
  readonly momentum: number;
  /** The gradient counts 1 − dampening in the momentum, but for a parameter's first step. */
  readonly dampening: number;
  readonly nesterov: boolean;
}

/** torch.optim.SGD's defaults, and the learning rate of its later versions. */
const DEFAULTS: SgdOptions = {
  lr: 1e-3,
  momentum: 0,
  dampening: 0,
  weightDecay: 0,
  nesterov: false,
};

/**
 * Stochastic gradient descent with momentum (torch.optim.SGD). Weight decay adds weightDecay · p to the gradient.
 * Its state, with momentum: `momentum_buffer.<name>`.
 *
 * @throws HistogradError `option`; nesterov needs momentum and no dampening
 */
export class Sgd extends Optimizer<SgdOptions> {
  constructor(parameters: Parameters<SgdOptions>, options: Partial<SgdOptions> = {}) {
    super(parameters, { ...DEFAULTS, ...options });
  }

  protected check({ lr, momentum, dampening, weightDecay, nesterov }: SgdOptions): void {
    requireOption(lr >= 0, 'lr', 'a number of at least 0', lr);
    requireOption(momentum >= 0, 'momentum', 'a number of at least 0', momentum);
    requireOption(weightDecay >= 0, 'weightDecay', 'a number of at least 0', weightDecay);
    requireOption(
      !nesterov || (momentum > 0 && dampening === 0),
      'nesterov',
      'momentum above 0 and no dampening with it',
      `momentum ${momentum}, dampening ${dampening}`,
    );
  }

  protected stateNames({ momentum }: SgdOptions): readonly string[] {
    return momentum > 0 ? ['momentum_buffer'] : [];
  }

  protected perStep({ dampening }: SgdOptions): PerStep {
    return { settled: 2, at: (step) => [step === 1 ? 1 : 1 - dampening, 0] };
  }

  protected recipe(options: SgdOptions, lr: number): Recipe {
    const { momentum, weightDecay, nesterov } = options;
    return {
      kernel,
      entries: momentum > 0 ? ['momentum', 'momentum3'] : ['plain', 'plain3'],
      params: { lr, weight_decay: weightDecay, momentum },
      overrides: { NESTEROV: nesterov },
    };
  }
}
