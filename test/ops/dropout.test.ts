import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { dropout, dropoutOp } from '../../src/ops/dropout.ts';
import { sum } from '../../src/ops/reduce.ts';
import { Generator } from '../../src/tensor/random.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd } from './nd.ts';
import { philoxUniform } from './philox.ts';
import { proveOp } from './prove.ts';

const shapes: Shape[] = [[1], [49, 197], [1031], [2, 3, 33], [0, 6], [25_761]];

proveOp({
  op: dropoutOp,
  cases: shapes.map((shape, i) => ({
    shapes: [shape],
    options: {
      p: [0, 0.1, 0.25, 0.5, 0.9, 0.2][i]!,
      seed: [17 * i, 0xffffffff - i] as const,
      offset: 1000 * i,
    },
  })),
  splits: true,
  reference: ([x], { p, seed, offset }) => {
    const u = philoxUniform(seed, offset, x!.data.length);
    return nd(x!.shape, (i) => (u[i]! >= Math.fround(p) ? x!.data[i]! / (1 - p) : 0));
  },
});

describe('dropout', () => {
  it('drops the same elements in both directions, and others in the next draw', async () => {
    const device = await testDevice();
    const draws = new Generator(7);
    const x = Parameter.of(Tensor.from(device, new Float32Array(4099).fill(1)));
    const first = dropout(x, 0.5, draws.next());
    backward(sum(first));
    const kept = await first.floats();
    expect(await x.grad!.floats()).toEqual(kept);
    const second = await dropout(x, 0.5, draws.next()).floats();
    const same = kept.reduce((count, v, i) => count + (v === second[i] ? 1 : 0), 0);
    expect(Math.abs(same / kept.length - 0.5)).toBeLessThan(0.05);
  });

  it('refuses a probability of one', async () => {
    const x = Tensor.zeros(await testDevice(), [2]);
    const draw = new Generator(1).next();
    await expectError(() => dropout(x, 1, draw), 'option', /p must be in \[0, 1\), found 1/);
    await expectError(() => dropout(x, Number.NaN, draw), 'option', /found NaN/);
  });
});
