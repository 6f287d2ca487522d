/** Split, chunk, stack, unsqueeze, squeeze and flatten: reshape, slice and concat under other names. */
import { describe, expect, it } from 'vitest';
import { chunk, flatten, split, squeeze, stack, unsqueeze } from '../../src/ops/shapes.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

async function sample(): Promise<Tensor> {
  return Tensor.from(await testDevice(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [2, 5]);
}

const values = async (tensors: Tensor[]) =>
  Promise.all(tensors.map(async (x) => [x.shape.join(), ...(await x.floats())]));

describe('split and chunk', () => {
  it('cut an axis', async () => {
    const x = await sample();
    const pieces = [
      ['2,2', 0, 1, 5, 6],
      ['2,2', 2, 3, 7, 8],
      ['2,1', 4, 9],
    ];
    expect(await values(split(x, 2, 1))).toEqual(pieces);
    expect(await values(split(x, [2, 2, 1], -1))).toEqual(pieces);
    expect(await values(chunk(x, 3, 1))).toEqual(pieces);
    expect(chunk(x, 4, 1)).toHaveLength(3); // as torch.chunk
    expect((await values(split(x, 1)))[1]).toEqual(['1,5', 5, 6, 7, 8, 9]);
    expect(chunk(Tensor.zeros(x.device, [0, 2]), 2).map(({ shape }) => shape)).toEqual([[0, 2]]);
  });

  it('say what does not fit', async () => {
    const x = await sample();
    await expectError(
      () => split(x, [2, 2], 1),
      'shape',
      /split: expected sizes that add up to 5, found \[2,2\] \(4\)/,
    );
    await expectError(() => split(x, 0, 1), 'option', /split: expected pieces .* found 0/);
    await expectError(() => chunk(x, 1.5), 'option', /chunk: expected a whole number/);
  });
});

describe('stack', () => {
  it('joins along a new axis', async () => {
    const x = await sample();
    const [a, b] = [split(x, 1)[0]!, split(x, 1)[1]!].map((row) => squeeze(row, 0)) as [
      Tensor,
      Tensor,
    ];
    const columns = stack([a, b], -1);
    expect(columns.shape).toEqual([5, 2]);
    expect([...(await columns.floats())]).toEqual([0, 5, 1, 6, 2, 7, 3, 8, 4, 9]);
    expect(await stack([a, b]).floats()).toEqual(await x.floats());
  });
});

describe('unsqueeze, squeeze and flatten', () => {
  it('give the shapes of PyTorch', async () => {
    const device = await testDevice();
    const x = Tensor.zeros(device, [2, 3, 5]);
    expect([0, 2, 3, -1, -4].map((axis) => unsqueeze(x, axis).shape.join())).toEqual([
      '1,2,3,5',
      '2,3,1,5',
      '2,3,5,1',
      '2,3,5,1',
      '1,2,3,5',
    ]);
    expect(squeeze(unsqueeze(x, 1), -3).shape).toEqual([2, 3, 5]);
    expect(flatten(x).shape).toEqual([30]);
    expect(flatten(x, 1).shape).toEqual([2, 15]);
    expect(flatten(x, 0, -2).shape).toEqual([6, 5]);
    expect(flatten(Tensor.scalar(device, 1)).shape).toEqual([1]);
    await expectError(
      () => squeeze(x, 1),
      'shape',
      /squeeze: expected an axis 1 of extent 1, found 3/,
    );
    await expectError(() => flatten(x, 2, 1), 'shape', /flatten: expected start before end/);
    await expectError(() => unsqueeze(x, 4), 'shape', /unsqueeze: expected an axis below 4/);
  });
});
