import { Matrix, solve } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { randomUint32 } from '../../src/data/shuffle.ts';
import { DualRidge } from '../../src/models/dual-ridge.ts';
import { expectError } from '../data/expect-error.ts';

const next = randomUint32(3);
const random = (length: number) => Float32Array.from({ length }, () => next() / 2 ** 31 - 1);

/** The primal normal equations on centred data: (XᵀX + λI) w = Xᵀy. */
function primal(
  x: Float32Array,
  y: Float32Array,
  [count, width, genes]: [number, number, number],
  train: number[],
  test: number[],
  penalty: number,
): number[] {
  const rows = (table: Float32Array, columns: number) =>
    Matrix.from1DArray(count, columns, Array.from(table));
  const all = rows(x, width);
  const trainX = all.selection(
    train,
    Array.from({ length: width }, (_, i) => i),
  );
  const trainY = rows(y, genes).selection(
    train,
    Array.from({ length: genes }, (_, i) => i),
  );
  const meanX = trainX.mean('column');
  const meanY = trainY.mean('column');
  trainX.subRowVector(meanX);
  trainY.subRowVector(meanY);
  const t = trainX.transpose();
  const gram = t.mmul(trainX).add(Matrix.eye(width).mul(penalty));
  const weights = solve(gram, t.mmul(trainY));
  const testX = all.selection(
    test,
    Array.from({ length: width }, (_, i) => i),
  );
  return testX.subRowVector(meanX).mmul(weights).addRowVector(meanY).to1DArray();
}

describe('DualRidge', () => {
  it.each([
    { name: 'more features than samples', width: 30 },
    { name: 'fewer features than samples', width: 4 },
  ])('predicts as the normal equations do, with an intercept: $name', ({ width }) => {
    const [count, genes] = [12, 3];
    // Far from mean 0, so that a missing or penalised intercept shows.
    const x = random(count * width).map((value) => value + 2);
    const y = random(count * genes).map((value) => value + 10);
    const ridge = new DualRidge(x, count);
    expect(ridge.width).toBe(width);
    for (const [train, test] of [
      [
        [0, 1, 2, 3, 5, 7, 8],
        [4, 11],
      ],
      [
        [11, 10, 4, 6, 9],
        [0, 1, 2],
      ],
    ] as const) {
      for (const penalty of [0.5, 40]) {
        const found = ridge.predict(y, train, test, penalty);
        const expected = primal(x, y, [count, width, genes], [...train], [...test], penalty);
        expect(found.length).toBe(test.length * genes);
        for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
      }
    }
  });

  it('reads the targets of training samples only', () => {
    const x = random(6 * 2);
    const y = random(6);
    const ridge = new DualRidge(x, 6);
    const hidden = y.slice();
    hidden[5] = Number.NaN;
    expect(ridge.predict(hidden, [0, 1, 2, 3], [5], 1)).toEqual(
      ridge.predict(y, [0, 1, 2, 3], [5], 1),
    );
  });

  it('refuses what it cannot solve', async () => {
    await expectError(async () => new DualRidge(random(7), 2), 'shape', '7 values');
    const ridge = new DualRidge(random(6), 3);
    await expectError(async () => ridge.predict(random(4), [0], [1], 1), 'shape', '4 target');
    await expectError(async () => ridge.predict(random(3), [], [1], 1), 'option', '0 training');
    await expectError(async () => ridge.predict(random(3), [0], [1], 0), 'option', 'penalty 0');
  });
});
