/** The sum of many numbers: who adds what, in which order of the memory. */
import { defineKernel } from '../../src/gpu/kernel.ts';
import { sum } from '../../src/ops/reduce.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { random } from '../benches/tensors.ts';
import type { Ladder } from './ladder.ts';
import code from './reduce/sums.wgsl';

const kernel = defineKernel('ladder-sums', code);

/** How a stage is cut: elements of a run, runs of a workgroup. */
interface Stage {
  readonly entry: 'tree' | 'own' | 'own4';
  readonly workgroup: number;
  readonly each: number;
}

export const reduceLadder: Ladder = {
  id: 'reduce',
  name: 'sum of 16 M',
  prepare(device, size) {
    const x = random(device, [size === 'full' ? 2 ** 24 : 12_052], 1);
    const run = ({ entry, workgroup, each }: Stage) => {
      let from = x;
      while (from.size > 1) {
        const tree = entry === 'tree';
        const length = tree ? workgroup * each : each;
        const runs = Math.ceil(from.size / length);
        const to = Tensor.empty(device, runs === 1 ? [] : [runs]);
        const quads = entry === 'own4' && from.size % 4 === 0;
        device.run(kernel, entry === 'own4' && !quads ? 'own' : entry, {
          buffers: { [quads ? 'x4' : 'x']: from.buffer, out: to.buffer },
          params: { count: from.size, run: length },
          overrides: { WORKGROUP: workgroup, ...(tree && { EACH: each }) },
          groups: tree ? runs : Math.ceil(runs / workgroup),
        });
        if (from !== x) from.dispose();
        from = to;
      }
      return from;
    };
    return {
      cost: { flops: x.size, bytes: FLOAT * x.size },
      rungs: [
        {
          name: 'tree in workgroup memory',
          changed: 'The textbook: one number per thread, halves added to halves between barriers.',
          on: ['gpu', 'cpu'],
          run: () => run({ entry: 'tree', workgroup: 256, each: 1 }),
        },
        {
          name: '16 numbers per thread, then the tree',
          changed: 'A 16th of the trees and barriers; neighbouring threads still read neighbours.',
          on: ['gpu', 'cpu'],
          run: () => run({ entry: 'tree', workgroup: 256, each: 16 }),
        },
        {
          name: 'a run of 128 per thread',
          changed:
            'No barrier and no workgroup memory: a barrier costs as much as hundreds of additions.',
          on: ['cpu'],
          run: () => run({ entry: 'own', workgroup: 8, each: 128 }),
        },
        {
          name: 'a run of 1024 per thread, by vec4s',
          changed: 'A quarter of the load instructions, and an eighth of the workgroups.',
          on: ['cpu'],
          run: () => run({ entry: 'own4', workgroup: 8, each: 1024 }),
        },
        {
          name: 'product: lanes side by side',
          changed:
            'The 8 lanes share a run of 8192, so that the memory sees one stream and not 8, 4 KiB apart; added up by shuffles.',
          on: ['cpu'],
          run: () => sum(x),
        },
        {
          name: 'product: runs of 128 by 64 threads',
          changed:
            'Threads that share a run of 128 add up 2 numbers each, so that a small tree is left; several runs to a workgroup.',
          on: ['gpu'],
          run: () => sum(x),
        },
      ],
      async reference() {
        return Float64Array.of((await x.floats()).reduce((total, v) => total + v, 0));
      },
      dispose: () => x.dispose(),
    };
  },
};
