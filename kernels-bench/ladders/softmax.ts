/** Softmax: how often a row is read, how many exponentials it takes, and in which order of the memory. */
import { defineKernel } from '../../src/gpu/kernel.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { random } from '../benches/tensors.ts';
import type { Ladder } from './ladder.ts';
import code from './softmax/rows.wgsl';

const kernel = defineKernel('ladder-softmax-rows', code);

export const softmaxLadder: Ladder = {
  id: 'softmax',
  name: 'softmax 4096 x 1024',
  prepare(device, size) {
    const [rows, n] = size === 'full' ? ([4096, 1024] as const) : ([37, 1036] as const);
    const x = random(device, [rows, n], 1);
    const rowPerThread = (entry: 'plain' | 'quads' | 'once', WORKGROUP: number) => {
      const out = Tensor.empty(device, [rows, n]);
      device.run(kernel, entry, {
        buffers:
          entry === 'plain' ? { x: x.buffer, out: out.buffer } : { x4: x.buffer, out4: out.buffer },
        params: { rows, n },
        overrides: { WORKGROUP },
        groups: Math.ceil(rows / WORKGROUP),
      });
      return out;
    };
    return {
      cost: { flops: 4 * rows * n, bytes: 2 * FLOAT * rows * n },
      rungs: [
        {
          name: 'a row per thread',
          changed:
            'Maximum, sum of the exponentials, result: three passes, one number after the other.',
          on: ['gpu', 'cpu'],
          run: () => rowPerThread('plain', device.class === 'gpu' ? 64 : 8),
        },
        {
          name: 'by vec4s',
          changed: 'A load costs by the instruction: a quarter of them.',
          on: ['cpu'],
          run: () => rowPerThread('quads', 8),
        },
        {
          name: 'maximum and sum in one pass',
          changed:
            'The row is read twice, not three times; a sum relative to the maximum so far needs one exponential per element all the same.',
          on: ['cpu'],
          run: () => rowPerThread('once', 8),
        },
        {
          name: 'product: lanes side by side',
          changed:
            'A row per subgroup: one stream of memory, not 8 rows at once; multiplied by 1 / sum instead of divided.',
          on: ['cpu'],
          run: () => softmax(x),
        },
        {
          name: 'product: threads share a row',
          changed:
            'Neighbouring threads read neighbours of one row, and find maximum and sum through workgroup memory.',
          on: ['gpu'],
          run: () => softmax(x),
        },
      ],
      async reference() {
        const v = await x.floats();
        const out = new Float64Array(rows * n);
        for (let row = 0; row < rows; row++) {
          const all = Float64Array.from(v.subarray(row * n, (row + 1) * n));
          const most = all.reduce((a, b) => Math.max(a, b), -Infinity);
          const powers = all.map((it) => Math.exp(it - most));
          const total = powers.reduce((sum, it) => sum + it, 0);
          out.set(
            powers.map((it) => it / total),
            row * n,
          );
        }
        return out;
      },
      dispose: () => x.dispose(),
    };
  },
};
