/** Layer normalisation: how often a row is read, and in which order of the memory. */
import { defineKernel } from '../../src/gpu/kernel.ts';
import { layerNorm } from '../../src/ops/layer-norm.ts';
import { subgroupLanes } from '../../src/tensor/grid.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { disposeAll, random } from '../benches/tensors.ts';
import type { Ladder } from './ladder.ts';
import rowsCode from './layer-norm/rows.wgsl';
import sideCode from './layer-norm/side.wgsl';

const rowsKernel = defineKernel('ladder-layer-norm-rows', rowsCode);
const sideKernel = defineKernel('ladder-layer-norm-side', sideCode);

const EPS = 1e-5;

export const layerNormLadder: Ladder = {
  id: 'layer-norm',
  name: 'LayerNorm 4096 x 1024',
  prepare(device, size) {
    const [rows, n] = size === 'full' ? ([4096, 1024] as const) : ([37, 132] as const);
    const x = random(device, [rows, n], 1);
    const weight = random(device, [n], 2);
    const bias = random(device, [n], 3);
    const params = { rows, n, eps: EPS };
    const rowPerThread = (entry: 'plain' | 'quads', WORKGROUP: number) => {
      const out = Tensor.empty(device, [rows, n]);
      const [i, w, b, o] = [x, weight, bias, out].map(({ buffer }) => buffer);
      device.run(rowsKernel, entry, {
        buffers:
          entry === 'plain'
            ? { x: i!, weight: w!, bias: b!, out: o! }
            : { x4: i!, weight4: w!, bias4: b!, out4: o! },
        params,
        overrides: { WORKGROUP },
        groups: Math.ceil(rows / WORKGROUP),
      });
      return out;
    };
    const rowPerSubgroup = (entry: 'three' | 'two') => {
      const out = Tensor.empty(device, [rows, n]);
      device.run(sideKernel, entry, {
        buffers: {
          x4: x.buffer,
          weight4: weight.buffer,
          bias4: bias.buffer,
          out4: out.buffer,
        },
        params,
        overrides: { LANES: subgroupLanes(device) },
        groups: rows,
      });
      return out;
    };
    return {
      cost: { flops: 7 * rows * n, bytes: 2 * FLOAT * rows * n },
      rungs: [
        {
          name: 'a row per thread',
          changed:
            'Mean, variance and result as they are written down, one number after the other.',
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
          name: 'a row per subgroup',
          changed:
            'The lanes stand side by side: one stream of memory, not 8 rows at once; sums across lanes by subgroupAdd.',
          on: ['cpu'],
          run: () => rowPerSubgroup('three'),
        },
        {
          name: 'mean and variance in one pass',
          changed:
            'The row is read twice, not three times; differences from an own element of each lane keep it exact.',
          on: ['cpu'],
          run: () => rowPerSubgroup('two'),
        },
        {
          name: 'product: eight rows at once',
          changed:
            'What is read of weight and bias serves eight rows: 2.25 loads per vec4 instead of 4.',
          on: ['cpu'],
          run: () => layerNorm(x, weight, bias, EPS),
        },
        {
          name: 'product: threads share a row',
          changed: '64 threads read neighbours of one row and add up through workgroup memory.',
          on: ['gpu'],
          run: () => layerNorm(x, weight, bias, EPS),
        },
      ],
      async reference() {
        const [v, w, b] = await Promise.all([x.floats(), weight.floats(), bias.floats()]);
        const out = new Float64Array(rows * n);
        for (let row = 0; row < rows; row++) {
          const all = Float64Array.from(v.subarray(row * n, (row + 1) * n));
          const mean = all.reduce((sum, it) => sum + it, 0) / n;
          const variance = all.reduce((sum, it) => sum + (it - mean) ** 2, 0) / n;
          for (const [j, it] of all.entries()) {
            out[row * n + j] = ((it - mean) / Math.sqrt(variance + EPS)) * w[j]! + b[j]!;
          }
        }
        return out;
      },
      dispose: () => disposeAll(x, weight, bias),
    };
  },
};
