import { describe, expect, it } from 'vitest';
import { dropPath, dropPathOp } from '../../src/ops/drop-path.ts';
import { Generator } from '../../src/tensor/random.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd } from './nd.ts';
import { philoxUniform } from './philox.ts';
import { proveOp } from './prove.ts';

const shapes: Shape[] = [[1, 3], [49, 197], [1031], [17, 3, 33], [37, 2], [64, 4], [0, 6], [6, 0]];

proveOp({
  op: dropPathOp,
  cases: shapes.map((shape, i) => ({
    shapes: [shape],
    options: {
      p: [0, 0.1, 0.25, 0.5, 0.9][i % 5]!,
      seed: [17 * i, 0xffffffff - i] as const,
      offset: 1000 * i,
    },
  })),
  reference: ([x], { p, seed, offset }) => {
    const { shape } = x!;
    const u = philoxUniform(seed, offset, shape[0]!);
    const width = x!.data.length / shape[0]!;
    return nd(shape, (i) =>
      u[Math.floor(i / width)]! >= Math.fround(p) ? x!.data[i]! / (1 - p) : 0,
    );
  },
  linearIn: [0],
  splits: [
    [5, 777],
    [1023, 3],
    [3, 1024],
  ].map((shape, i) => ({
    shapes: [shape],
    options: { p: 0.5, seed: [i, 3] as const, offset: i },
  })),
});

describe('dropPath', () => {
  it('keeps or drops whole samples, others in the next draw', async () => {
    const device = await testDevice();
    const draws = new Generator(7);
    const x = Tensor.from(device, new Float32Array(5 * 1001).fill(1), [1001, 5]);
    const rows = async () => {
      const values = await dropPath(x, 0.5, draws.next()).floats();
      return Array.from({ length: 1001 }, (_, n) => {
        const row = new Set(values.subarray(5 * n, 5 * n + 5));
        expect(row.size).toBe(1);
        return values[5 * n]!;
      });
    };
    const first = await rows();
    expect(new Set(first)).toEqual(new Set([0, 2]));
    const second = await rows();
    const same = first.filter((v, n) => v === second[n]).length;
    expect(Math.abs(same / 1001 - 0.5)).toBeLessThan(0.07);
  });

  it('drops a sample whatever it holds, and hides nothing in those kept', async () => {
    const x = Tensor.from(await testDevice(), new Float32Array(64).fill(Number.NaN), [64, 1]);
    const values = await dropPath(x, 0.5, new Generator(1).next()).floats();
    expect(new Set(values)).toEqual(new Set([0, Number.NaN]));
  });

  it('refuses a probability of one, and scalars', async () => {
    const device = await testDevice();
    const x = Tensor.zeros(device, [2]);
    const draw = new Generator(1).next();
    await expectError(() => dropPath(x, 1, draw), 'option', /drop-path: p must be in \[0, 1\)/);
    await expectError(() => dropPath(Tensor.scalar(device, 1), 0.5, draw), 'shape', /scalar/);
  });
});
