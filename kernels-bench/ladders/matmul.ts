/** Matrix product: how often a loaded number is used, and what an accumulator costs. */
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { multiplyInto } from '../../src/ops/matmul-kernels.ts';
import { subgroupLanes } from '../../src/tensor/grid.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { disposeAll, random } from '../benches/tensors.ts';
import type { Ladder } from './ladder.ts';
import handedCode from './matmul/handed.wgsl';
import plainCode from './matmul/plain.wgsl';
import stagedCode from './matmul/staged.wgsl';

const plain = defineKernel('ladder-matmul-plain', plainCode);
const staged = defineKernel('ladder-matmul-staged', stagedCode);
const handed = defineKernel('ladder-matmul-handed', handedCode);

const FULL = { m: 1024, n: 1024, k: 1024 };
const SMALL = { m: 45, n: 68, k: 36 };

export const matmulLadder: Ladder = {
  id: 'matmul',
  name: 'matmul 1024 x 1024 x 1024',
  prepare(device, size) {
    const { m, n, k } = size === 'full' ? FULL : SMALL;
    const a = random(device, [m, k], 1);
    const b = random(device, [k, n], 2);
    const threads = device.class === 'gpu' ? 64 : 8;
    const LANES = subgroupLanes(device);
    const side = 4 * LANES;
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
            ? { a: a.buffer, b: b.buffer, c: out.buffer }
            : { a4: a.buffer, b4: b.buffer, c4: out.buffer },
        params: { m, n, k },
        overrides,
        groups: [Math.ceil(n / columns), Math.ceil(m / rows), 1],
      });
      return out;
    };
    const product = () => matmul(a, b);
    const fromBuffers = () => {
      const out = Tensor.empty(device, [m, n]);
      const sizes = { batch: 1, m, n, k, transposeA: false, transposeB: false };
      multiplyInto(a, b, null, out, sizes, { kernel: 'subgroup' });
      return out;
    };
    return {
      cost: { flops: 2 * m * n * k, bytes: FLOAT * (m * k + k * n + m * n) },
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
          name: 'workgroup memory',
          changed: '256 threads load rows and columns together: 64 uses for each load.',
          on: ['gpu'],
          run: () => run(staged, 'staged', {}, [64, 64]),
        },
        {
          name: 'columns handed round',
          changed:
            'A subgroup has 32 x 32 outputs; a lane loads 4 rows, which it keeps, and 4 columns, which it hands to the others: 32 uses for each load.',
          on: ['cpu'],
          run: () => run(handed, 'handed', { LANES }, [side, side]),
        },
        {
          name: 'four steps of K at once',
          changed:
            'An accumulator is loaded, blended with the mask of the loop and stored once for four multiply-adds, not for each.',
          on: ['cpu'],
          run: () => run(handed, 'steps', { LANES }, [side, side]),
        },
        {
          name: 'panels that stay in the cache',
          changed:
            'Tiles are walked in panels of 128 columns, whose part of B stays in the cache of a core; every size and layout.',
          on: ['cpu'],
          run: fromBuffers,
        },
        {
          name: 'product: operands as textures',
          changed:
            'A load is a call, no longer 40 tests and 32 loads; so the tile has 64 columns. Large products only: the copy comes first.',
          on: ['cpu'],
          run: product,
        },
        {
          name: 'product: tuned register tiles',
          changed:
            'More outputs per thread, tile and slice as tuned for the adapter; every size and layout.',
          on: ['gpu'],
          run: product,
        },
      ],
      async reference() {
        const [left, right] = await Promise.all([a.floats(), b.floats()]);
        const out = new Float64Array(m * n);
        for (let r = 0; r < m; r++) {
          for (let l = 0; l < k; l++) {
            const factor = left[r * k + l]!;
            for (let s = 0; s < n; s++) out[r * n + s]! += factor * right[l * n + s]!;
          }
        }
        return out;
      },
      dispose: () => disposeAll(a, b),
    };
  },
};
