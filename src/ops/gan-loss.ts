import type { Tensor } from '../tensor/tensor.ts';
import { add } from './binary.ts';
import { mean } from './reduce.ts';
import { neg, softplus } from './unary.ts';

/** What the generator minimises, from the discriminator's logits of its images: mean softplus(−D(G)) (Goodfellow et al. 2014, non-saturating). */
export function ganGeneratorLoss(fake: Tensor): Tensor {
  return mean(softplus(neg(fake)));
}

/** What the discriminator minimises, from its logits: mean softplus(D(fake)) + mean softplus(−D(real)). */
export function ganDiscriminatorLoss(real: Tensor, fake: Tensor): Tensor {
  return add(mean(softplus(fake)), mean(softplus(neg(real))));
}
