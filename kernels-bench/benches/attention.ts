import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import { attention } from '../../src/ops/attention.ts';
import { type Bench, FLOAT } from '../bench.ts';
import { disposeAll, FLOATS, type Operands, random } from './tensors.ts';

const HEADS = 8;
const TOKENS = 1024;
const WIDTH = 64;
const SHAPE = [1, HEADS, TOKENS, WIDTH];
const SIZE = HEADS * TOKENS * WIDTH;
const PRODUCT = 2 * HEADS * TOKENS * TOKENS * WIDTH;

export function forward(
  id: string,
  name: string,
  quick: boolean,
  { random, bytes }: Operands = FLOATS,
): Bench {
  return {
    id,
    name,
    quick,
    prepare(device) {
      const [q, k, v] = [1, 2, 3].map((seed) => random(device, SHAPE, seed));
      return {
        cost: { flops: 2 * PRODUCT, bytes: (3 * bytes + FLOAT) * SIZE },
        run: () => void attention(q!, k!, v!),
        dispose: () => disposeAll(q!, k!, v!),
      };
    },
  };
}

export const attentionBenches: readonly Bench[] = [
  forward('attention-forward', 'attention, 8 heads x 1024 tokens x 64', true),
  {
    id: 'attention-both',
    name: 'attention, 8 heads x 1024 tokens x 64, forward and backward',
    quick: false,
    prepare(device) {
      const inputs = [1, 2, 3].map((seed) => Parameter.of(random(device, SHAPE, seed)));
      const seed = random(device, SHAPE, 4);
      return {
        // Backward: the scores again, dP, dQ, dK and dV.
        cost: { flops: 7 * PRODUCT, bytes: 12 * FLOAT * SIZE },
        run() {
          const [q, k, v] = inputs;
          backwardFrom(attention(q!, k!, v!), seed);
          for (const input of inputs) input.grad = null;
        },
        dispose: () => disposeAll(...inputs, seed),
      };
    },
  },
];
