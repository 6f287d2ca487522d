/** Bandwidth-bound operations. */
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { add } from '../../src/ops/binary.ts';
import { layerNorm } from '../../src/ops/layer-norm.ts';
import { sum } from '../../src/ops/reduce.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { gelu } from '../../src/ops/unary.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';
import { type Bench, type Cost, FLOAT } from '../bench.ts';
import { disposeAll, random } from './tensors.ts';

interface Description extends Cost {
  id: string;
  name: string;
  quick?: boolean;
  shapes: readonly Shape[];
}

function operation(d: Description, run: (inputs: readonly Tensor[]) => unknown): Bench {
  const { id, name, quick = false, shapes, flops, bytes } = d;
  return {
    id,
    name,
    quick,
    prepare(device: Device) {
      const inputs = shapes.map((shape, i) => random(device, shape, i + 1));
      const cost = { flops, bytes };
      return { cost, run: () => void run(inputs), dispose: () => disposeAll(...inputs) };
    },
  };
}

const ROWS: Shape = [4096, 1024];
const N = 4096 * 1024;
const LARGE = 2 ** 24;
const WIDTH: Shape = [1024];

export const elementwiseBenches: readonly Bench[] = [
  operation(
    {
      id: 'add',
      name: 'add 16 M',
      shapes: [[LARGE], [LARGE]],
      flops: LARGE,
      bytes: 3 * FLOAT * LARGE,
    },
    ([a, b]) => add(a!, b!),
  ),
  operation(
    {
      id: 'sum',
      name: 'sum of 16 M',
      quick: true,
      shapes: [[LARGE]],
      flops: LARGE,
      bytes: FLOAT * LARGE,
    },
    ([x]) => sum(x!),
  ),
  operation(
    { id: 'gelu', name: 'GELU 4096 x 1024', shapes: [ROWS], flops: 10 * N, bytes: 2 * FLOAT * N },
    ([x]) => gelu(x!),
  ),
  operation(
    {
      id: 'softmax',
      name: 'softmax 4096 x 1024',
      quick: true,
      shapes: [ROWS],
      flops: 4 * N,
      bytes: 2 * FLOAT * N,
    },
    ([x]) => softmax(x!),
  ),
  operation(
    {
      id: 'layer-norm',
      name: 'LayerNorm 4096 x 1024',
      quick: true,
      shapes: [ROWS, WIDTH, WIDTH],
      flops: 7 * N,
      bytes: 2 * FLOAT * N,
    },
    ([x, weight, bias]) => layerNorm(x!, weight!, bias!),
  ),
  {
    id: 'layer-norm-both',
    name: 'LayerNorm 4096 x 1024, forward and backward',
    quick: false,
    prepare(device) {
      const [x, weight, bias] = [ROWS, WIDTH, WIDTH].map((shape, i) =>
        Parameter.of(random(device, shape, i + 1)),
      ) as [Parameter, Parameter, Parameter];
      const seed = random(device, ROWS, 9);
      return {
        cost: { flops: 20 * N, bytes: 6 * FLOAT * N },
        run() {
          backwardFrom(layerNorm(x, weight, bias), seed);
          for (const parameter of [x, weight, bias]) parameter.grad = null;
        },
        dispose: () => disposeAll(x, weight, bias, seed),
      };
    },
  },
];
