/** GELU: how much a thread does, and how much arithmetic there is. */
import { defineKernel } from '../../src/gpu/kernel.ts';
import { gelu } from '../../src/ops/unary.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { random } from '../benches/tensors.ts';
import code from './elementwise/gelu.wgsl';
import type { Ladder } from './ladder.ts';

const kernel = defineKernel('ladder-gelu', code);

/** The complementary error function of z ≥ 0: by the series of erf, from 2.5 on by a continued fraction. */
function erfc(z: number): number {
  if (z < 2.5) {
    let term = z;
    let sum = z;
    for (let n = 1; n < 120; n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 120; k > 0; k--) fraction = k / 2 / (z + fraction);
  return Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction);
}

function geluOf(v: number): number {
  const tail = 0.5 * erfc(Math.abs(v) / Math.SQRT2);
  return Math.max(v, 0) - Math.abs(v) * tail;
}

export const elementwiseLadder: Ladder = {
  id: 'elementwise',
  name: 'GELU 4096 x 1024',
  prepare(device, size) {
    const shape = size === 'full' ? [4096, 1024] : [7, 1003];
    const x = random(device, shape, 1);
    const run = (entry: 'single' | 'vectors', WORKGROUP: number, VECS: number, TAIL: boolean) => {
      const out = Tensor.empty(device, shape);
      const single = entry === 'single';
      device.run(kernel, entry, {
        buffers: single ? { x: x.buffer, out: out.buffer } : { x4: x.buffer, out4: out.buffer },
        params: { count: x.size },
        overrides: single ? { WORKGROUP } : { WORKGROUP, VECS, TAIL },
        groups: Math.ceil(x.size / (single ? 1 : 4) / WORKGROUP / VECS),
      });
      return out;
    };
    return {
      cost: { flops: 10 * x.size, bytes: 2 * FLOAT * x.size },
      rungs: [
        {
          name: 'one float per thread',
          changed: 'The formula as it stands in the paper, a thread for each number.',
          on: ['gpu', 'cpu'],
          run: () => run('single', 256, 1, false),
        },
        {
          name: 'one vec4 per thread',
          changed: 'A load and a store cost by the instruction: four numbers with each.',
          on: ['gpu', 'cpu'],
          run: () => run('vectors', 256, 1, false),
        },
        {
          name: '16 vec4s per thread, 8 threads',
          changed:
            '256 threads are 32 vector registers, which run in turns; 8 are one, and a loop does the work of 16.',
          on: ['cpu'],
          run: () => run('vectors', 8, 16, false),
        },
        {
          name: 'tail instead of erf',
          changed:
            'x Phi(x) is max(x, 0) - |x| Phi(-|x|): no sign, no cancellation, an exponential to base 2, fused steps.',
          on: ['cpu'],
          run: () => run('vectors', 8, 16, true),
        },
        {
          name: 'product: 64 vec4s per thread',
          changed: 'A workgroup costs some tenths of a microsecond: a quarter of them.',
          on: ['cpu'],
          run: () => gelu(x),
        },
        {
          name: 'product: tail instead of erf',
          changed:
            'x Phi(x) is max(x, 0) - |x| Phi(-|x|): no sign, no cancellation, an exponential to base 2, fused steps.',
          on: ['gpu'],
          run: () => gelu(x),
        },
      ],
      reference: async () => Float64Array.from(await x.floats(), geluOf),
      dispose: () => x.dispose(),
    };
  },
};
