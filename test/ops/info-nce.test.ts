import { describe, it } from 'vitest';
import { infoNce } from '../../src/ops/info-nce.ts';
import type { Op } from '../../src/ops/op.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { crossEntropyOf, mapRows, nd, norm } from './nd.ts';
import { proveOp } from './prove.ts';

const infoNceOp: Op<{ temperature: number }> = {
  name: 'info-nce',
  apply: ([a, b], { temperature }) => infoNce(a!, b!, temperature),
};

proveOp({
  op: infoNceOp,
  cases: [
    [1, 1],
    [13, 7],
    [49, 197],
    [5, 1031],
  ].map((shape, i) => ({ shapes: [shape, shape], options: { temperature: i === 0 ? 1 : 0.2 } })),
  reference: ([a, b], { temperature }) => {
    const [u, v] = [a!, b!].map((x) => mapRows(x, (row) => row.map((e) => e / norm(row))));
    const [n, d] = a!.shape as [number, number];
    const logit = (i: number, j: number) => {
      let dot = 0;
      for (let k = 0; k < d; k++) dot += u!.data[i * d + k]! * v!.data[j * d + k]!;
      return dot / temperature;
    };
    const rows = nd([n, n], (at) => logit(Math.floor(at / n), at % n));
    const columns = nd([n, n], (at) => rows.data[(at % n) * n + Math.floor(at / n)]!);
    const pairs = Array.from({ length: n }, (_, i) => i);
    return nd([], () => (crossEntropyOf(rows, pairs) + crossEntropyOf(columns, pairs)) / 2);
  },
});

describe('info-nce', () => {
  it('needs two matrices of one shape', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [4, 3]), Tensor.zeros(device, [5, 3])];
    const found = /info-nce: expected two matrices \[B, d\].*found \[4, 3\] and \[5, 3\]/;
    await expectError(() => infoNce(a, b, 0.1), 'shape', found);
    await expectError(() => infoNce(a, a, 0), 'option', /a temperature above 0, found 0/);
    const c = Tensor.zeros(device, [4, 3, 1]);
    await expectError(
      () => infoNce(a, c, 0.1),
      'shape',
      /info-nce: .*found \[4, 3\] and \[4, 3, 1\]/,
    );
  });
});
