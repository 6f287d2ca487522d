/**
 * The least that a network must compute and move: the multiply-adds of its matrix products, convolutions and
 * attention, and their operands and results once each. All else could be done on the way.
 */
import type { Module } from '../src/nn/module.ts';
import { type Cost, FLOAT } from './bench.ts';
import type { TracedOp } from './trace.ts';

/** Operations of the forward product; null for what is no product. */
function productFlops({ op, inputs, output }: TracedOp): number | null {
  const [a, b] = inputs;
  switch (op) {
    case 'linear':
    case 'conv2d':
      return (2 * output.size * b!.size) / b!.shape[0]!;
    case 'matmul': {
      const batch = a!.rank === 3 ? a!.shape[0]! : 1;
      return 2 * Math.sqrt((a!.size * b!.size * output.size) / batch); // (B M K)(B K N)(B M N) = B³ (M N K)²
    }
    case 'attention':
      return 2 * b!.shape[2]! * (a!.size + output.size);
    case 'packed-attention':
      return 4 * output.size * a!.shape[1]!;
    default:
      return null;
  }
}

/** Products in the backward pass for one in the forward pass. */
function backwardProducts({ op, trained }: TracedOp): number {
  // Attention: two products; backward the scores again, dP, dQ, dK and dV.
  if (op.endsWith('attention')) return trained.some(Boolean) ? 2.5 : 0;
  return trained.slice(0, 2).filter(Boolean).length;
}

function costOf(ops: readonly TracedOp[], passes: (op: TracedOp) => number): Cost {
  let [flops, bytes] = [0, 0];
  for (const op of ops) {
    const product = productFlops(op);
    if (product === null) continue;
    const moved = op.inputs.reduce((total, { bytes }) => total + bytes, op.output.bytes);
    flops += passes(op) * product;
    bytes += passes(op) * moved;
  }
  return { flops, bytes };
}

export function forwardCost(ops: readonly TracedOp[]): Cost {
  return costOf(ops, () => 1);
}

/** Parameters, moments and gradients are read, parameters and moments written. */
const OPTIMISER_PASSES = 7;

/** Of a training step with AdamW, whose loss these operations compute. */
export function trainingCost(model: Module, ops: readonly TracedOp[]): Cost {
  const { flops, bytes } = costOf(ops, (op) => 1 + backwardProducts(op));
  return { flops, bytes: bytes + OPTIMISER_PASSES * FLOAT * model.parameterCount() };
}
