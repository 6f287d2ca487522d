import { requireOption } from './require-option.ts';

export interface PlateauOptions {
  /** Whether a smaller (`min`) or a larger (`max`) metric is better. */
  mode: 'min' | 'max';
  /** What the rate is multiplied by. */
  factor: number;
  /** Steps without improvement that are borne. */
  patience: number;
  /** What counts as improvement: `rel`ative to the best so far, or `abs`olute. */
  threshold: number;
  thresholdMode: 'rel' | 'abs';
  /** Steps after a reduction in which nothing is counted. */
  cooldown: number;
  minLr: number;
  /** Smaller changes are not made. */
  eps: number;
}

const DEFAULTS: PlateauOptions = {
  mode: 'min',
  factor: 0.1,
  patience: 10,
  threshold: 1e-4,
  thresholdMode: 'rel',
  cooldown: 0,
  minLr: 0,
  eps: 1e-8,
};

/** Where a `ReduceOnPlateau` stands; plain numbers, for a checkpoint's JSON. */
export interface PlateauState {
  lr: number;
  /** Null before the first metric. */
  best: number | null;
  badSteps: number;
  cooldownLeft: number;
}

/**
 * Reduces the learning rate when a metric has stopped improving (torch.optim.lr_scheduler.ReduceLROnPlateau). An
 * undefined metric (NaN) is no improvement.
 */
export class ReduceOnPlateau {
  readonly options: PlateauOptions;
  readonly #base: number;
  #state: PlateauState;

  /** @throws HistogradError `option` */
  constructor(lr: number, options: Partial<PlateauOptions> = {}) {
    this.options = { ...DEFAULTS, ...options };
    const { factor } = this.options;
    requireOption(lr > 0, 'ReduceOnPlateau', 'a learning rate above 0', lr);
    requireOption(factor > 0 && factor < 1, 'ReduceOnPlateau', 'a factor in (0, 1)', factor);
    this.#base = lr;
    this.#state = { lr, best: null, badSteps: 0, cooldownLeft: 0 };
  }

  /** The learning rate now. */
  get lr(): number {
    return this.#state.lr;
  }

  /** The same as a factor on the rate of the start, for an optimiser's `step`. */
  get scale(): number {
    return this.#state.lr / this.#base;
  }

  /** Takes in the metric of an epoch. Returns the learning rate from now on. */
  step(metric: number): number {
    const state = this.#state;
    const { factor, patience, cooldown, minLr, eps } = this.options;
    if (this.#improves(metric)) {
      state.best = metric;
      state.badSteps = 0;
    } else state.badSteps++;
    if (state.cooldownLeft > 0) {
      state.cooldownLeft--;
      state.badSteps = 0;
    }
    if (state.badSteps > patience) {
      const lr = Math.max(state.lr * factor, minLr);
      if (state.lr - lr > eps) state.lr = lr;
      state.cooldownLeft = cooldown;
      state.badSteps = 0;
    }
    return state.lr;
  }

  stateDict(): PlateauState {
    return { ...this.#state };
  }

  loadStateDict(state: PlateauState): void {
    this.#state = { ...state };
  }

  #improves(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.options;
    const { best } = this.#state;
    if (best === null) return !Number.isNaN(metric);
    const sign = mode === 'min' ? -1 : 1;
    const margin = thresholdMode === 'rel' ? best * threshold : threshold;
    return sign * metric > sign * (best + sign * margin);
  }
}
