/** The head of a bulk model, a product with 16 rows: which side lies on the lanes. */
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { subgroupLanes } from '../../src/tensor/grid.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { disposeAll, random } from '../benches/tensors.ts';
import type { Ladder } from './ladder.ts';
import plainCode from './matmul-skinny/plain.wgsl';
import squareCode from './matmul-skinny/square.wgsl';

const plain = defineKernel('ladder-skinny-plain', plainCode);
const square = defineKernel('ladder-skinny-square', squareCode);

const FULL = { m: 16, n: 20530, k: 1024 };
const SMALL = { m: 13, n: 101, k: 28 };

export const skinnyLadder: Ladder = {
  id: 'matmul-skinny',
  name: 'head 16 x 1024 x 20530, forward',
  prepare(device, size) {
    const { m, n, k } = size === 'full' ? FULL : SMALL;
    const x = random(device, [m, k], 1);
    const w = random(device, [n, k], 2);
    const threads = device.class === 'gpu' ? 64 : 8;
    const LANES = subgroupLanes(device);
    const run = (
      kernel: Kernel,
      entry: string,
      overrides: Record<string, number>,
      [columns, rows]: readonly [number, number],
    ) => {
      const out = Tensor.empty(device, [m, n]);
      device.run(kernel, entry, {
        buffers:
          entry === 'each'
            ? { x: x.buffer, w: w.buffer, c: out.buffer }
            : { x4: x.buffer, w4: w.buffer, c: out.buffer },
        params: { m, n, k },
        overrides,
        groups: [Math.ceil(n / columns), Math.ceil(m / rows), 1],
      });
      return out;
    };
    const product = () => matmul(x, w, { transposeB: true });
    return {
      cost: { flops: 2 * m * n * k, bytes: FLOAT * (m * k + n * k + m * n) },
      rungs: [
        {
          name: 'a thread per output',
          changed: 'The definition: every product loads both of its numbers.',
          on: ['gpu', 'cpu'],
          run: () => run(plain, 'each', { WORKGROUP: threads }, [threads, 1]),
        },
        {
          name: '4 x 4 outputs per thread',
          changed: 'A loaded number is used four times, and comes as part of a vec4.',
          on: ['gpu', 'cpu'],
          run: () => run(plain, 'tile', { WORKGROUP: threads }, [4 * threads, 4]),
        },
        {
          name: 'the square tile',
          changed:
            'The tile of the large product, 32 x 32 to a subgroup: 32 uses for each load, but half of the rows do not exist.',
          on: ['cpu'],
          run: () => run(square, 'square', { LANES }, [4 * LANES, 4 * LANES]),
        },
        {
          name: 'product: genes on the lanes',
          changed:
            'The transposed product: a lane has 4 genes, all lanes together load the 16 rows and hand them round. No lane idles.',
          on: ['cpu'],
          run: product,
        },
        {
          name: 'product: tuned register tiles',
          changed:
            'Tiles through workgroup memory, as wide and as low as tuned for few rows; K is split where there are few tiles.',
          on: ['gpu'],
          run: product,
        },
      ],
      async reference() {
        const [left, right] = await Promise.all([x.floats(), w.floats()]);
        return Float64Array.from({ length: m * n }, (_, at) => {
          const [r, s] = [Math.floor(at / n) * k, (at % n) * k];
          let sum = 0;
          for (let l = 0; l < k; l++) sum += left[r + l]! * right[s + l]!;
          return sum;
        });
      },
      dispose: () => disposeAll(x, w),
    };
  },
};
