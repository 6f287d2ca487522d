/** The operations that a piece of work runs: to count what they cost, and to write them down for another runtime. */
import { requiresGrad } from '../src/autograd/tape.ts';
import { type OpCall, observeOps } from '../src/ops/op.ts';
import type { Tensor } from '../src/tensor/tensor.ts';

export interface TracedOp extends OpCall {
  readonly op: string;
  readonly output: Tensor;
  /** Of each input: does a gradient flow into it? */
  readonly trained: readonly boolean[];
}

/** Runs `body` and lists its operations. Their tensors keep their shapes and dtypes when they are freed. */
export function traceOps(body: () => unknown): TracedOp[] {
  const found: TracedOp[] = [];
  observeOps((op, _layer, output, { inputs, options }) => {
    found.push({ op, output, inputs, options, trained: inputs.map(requiresGrad) });
  }, body);
  return found;
}
