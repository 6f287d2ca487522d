import { Adam, type AdamOptions } from './adam.ts';
import type { Parameters } from './optimizer.ts';

/** As Adam's, but `weightDecay` is decoupled: p ← p (1 − lr · weightDecay) before the step. */
export type AdamWOptions = AdamOptions;

/** torch.optim.AdamW's defaults, where they differ from Adam's. */
const DEFAULTS = { weightDecay: 1e-2 };

/** Adam with decoupled weight decay (Loshchilov & Hutter 2019; torch.optim.AdamW). State as Adam's. */
export class AdamW extends Adam {
  protected override readonly decoupled = true;

  constructor(parameters: Parameters<AdamWOptions>, options: Partial<AdamWOptions> = {}) {
    super(parameters, { ...DEFAULTS, ...options });
  }
}
