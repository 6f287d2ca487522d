/** Attention, forward: what is in memory at once, and how often keys and values are loaded. */
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import { attention } from '../../src/ops/attention.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { affine } from '../../src/ops/unary.ts';
import { subgroupLanes } from '../../src/tensor/grid.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { disposeAll, random } from '../benches/tensors.ts';
import flashCode from './attention/flash.wgsl';
import handedCode from './attention/handed.wgsl';
import type { Ladder } from './ladder.ts';

const flash = defineKernel('ladder-attention-flash', flashCode);
const handed = defineKernel('ladder-attention-handed', handedCode);

const WIDTH = 64;
const SCALE = 1 / Math.sqrt(WIDTH);

export const attentionLadder: Ladder = {
  id: 'attention',
  name: 'attention, 8 heads x 1024 tokens x 64',
  prepare(device, size) {
    const [heads, tokens] = size === 'full' ? ([8, 1024] as const) : ([2, 45] as const);
    const shape = [1, heads, tokens, WIDTH];
    const [q, k, v] = [1, 2, 3].map((seed) => random(device, shape, seed)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const run = (kernel: Kernel, entry: string, queries: number, name: 'WORKGROUP' | 'LANES') => {
      const out = Tensor.empty(device, shape);
      device.run(kernel, entry, {
        buffers: { q: q.buffer, k: k.buffer, v: v.buffer, out: out.buffer },
        params: { heads, tokens, scale: SCALE, width4: WIDTH / 4 },
        overrides: { [name]: queries },
        groups: heads * Math.ceil(tokens / queries),
      });
      return out;
    };
    const product = () => attention(q, k, v);
    return {
      cost: { flops: 4 * heads * tokens ** 2 * WIDTH, bytes: 4 * FLOAT * q.size },
      rungs: [
        {
          name: 'a query per thread, one pass',
          changed:
            'The scores are never stored, thanks to a running maximum; every query loads every key and value for itself.',
          on: ['gpu', 'cpu'],
          run: () => run(flash, 'plain', device.class === 'gpu' ? 64 : 8, 'WORKGROUP'),
        },
        {
          name: 'keys in workgroup memory',
          changed: '64 queries load keys and values together: a 64th of the loads.',
          on: ['gpu'],
          run: () => run(flash, 'tiled', 64, 'WORKGROUP'),
        },
        {
          name: 'keys handed round',
          changed:
            'Each lane loads one of 8 keys and hands it to the others by shuffle: an 8th of the loads, no workgroup memory.',
          on: ['cpu'],
          run: () => run(handed, 'forward', subgroupLanes(device), 'LANES'),
        },
        {
          name: 'products and a softmax',
          changed:
            'Not one kernel but four, the products with register tiles, which use each number they load 32 times; the scores go through memory.',
          on: ['gpu', 'cpu'],
          run() {
            const [a, b, c] = [q, k, v].map((t) => t.view([heads, tokens, WIDTH]));
            return matmul(softmax(affine(matmul(a!, b!, { transposeB: true }), SCALE)), c!);
          },
        },
        {
          name: 'product: 4 queries per lane, 32 keys',
          changed:
            'Both: one pass, nothing stored, and register tiles; what is handed round serves 4 queries of a lane, a maximum 32 keys.',
          on: ['cpu'],
          run: product,
        },
        {
          name: 'product: register tiles',
          changed:
            'Both: one pass, nothing stored, and what is read from workgroup memory serves several queries of a thread.',
          on: ['gpu'],
          run: product,
        },
      ],
      async reference() {
        const [a, b, c] = await Promise.all([q.floats(), k.floats(), v.floats()]);
        const out = new Float64Array(a.length);
        for (let line = 0; line < heads * tokens; line++) {
          const first = Math.floor(line / tokens) * tokens;
          const scores = Float64Array.from({ length: tokens }, (_, j) => {
            let dot = 0;
            for (let d = 0; d < WIDTH; d++)
              dot += a[line * WIDTH + d]! * b[(first + j) * WIDTH + d]!;
            return dot * SCALE;
          });
          const most = scores.reduce((m, s) => Math.max(m, s), -Infinity);
          const weights = scores.map((s) => Math.exp(s - most));
          const total = weights.reduce((sum, w) => sum + w, 0);
          for (const [j, weight] of weights.entries()) {
            for (let d = 0; d < WIDTH; d++) {
              out[line * WIDTH + d]! += (weight / total) * c[(first + j) * WIDTH + d]!;
            }
          }
        }
        return out;
      },
      dispose: () => disposeAll(q, k, v),
    };
  },
};
