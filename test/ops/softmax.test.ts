import { describe, expect, it } from 'vitest';
import { logSoftmaxOp, softmaxOp } from '../../src/ops/softmax.ts';
import { mapRows } from './nd.ts';
import { proveOp } from './prove.ts';

const cases = [[1, 1], [5, 1], [49, 197], [3, 1031], [1, 64], [2, 3, 33], [7], [0, 5]].map((shape) => ({
  shapes: [shape],
  options: {},
}));

function logSoftmaxOf(row: Float64Array): Float64Array {
  const most = Math.max(...row);
  const total = row.reduce((sum, v) => sum + Math.exp(v - most), 0);
  return row.map((v) => v - most - Math.log(total));
}

proveOp({
  op: softmaxOp,
  cases,
  reference: ([x]) => mapRows(x!, (row) => logSoftmaxOf(row).map(Math.exp)),
});

proveOp({ op: logSoftmaxOp, cases, reference: ([x]) => mapRows(x!, logSoftmaxOf) });
