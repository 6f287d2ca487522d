/** Finds where a batch's values first become NaN or infinite, by computing it again with eyes open. */
import { backward, noGrad } from '../autograd/tape.ts';
import type { Bags, ExpressionModel } from '../models/model.ts';
import { observeOps } from '../ops/op.ts';
import { keep, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * Where the forward pass of `model.loss` first gives a non-finite value, in words; null if nowhere.
 */
export async function firstNonFiniteResult(
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
export async function nonFiniteGradients(
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
