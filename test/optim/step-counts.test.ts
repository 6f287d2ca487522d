import { describe, expect, it } from 'vitest';
import { type PerStep, StepCounts } from '../../src/optim/step-counts.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';

const squares: PerStep = { settled: 4, at: (step) => [step * step, -step] };
const constant: PerStep = { settled: 1, at: () => [0.1, 7] };

describe('StepCounts', () => {
  it('looks up the numbers of the step of each parameter, the last ones for good', async () => {
    const device = await testDevice();
    const counts = new StepCounts(device, [squares, constant, squares]);
    counts.assign([0, 5, 3]);
    const take = async (finite: number, indices: readonly number[]) => {
      const clip = Tensor.from(device, [9, 0.5, finite]);
      counts.count(clip, indices);
      clip.dispose();
      return [...(await counts.now.floats())];
    };
    const tenth = Math.fround(0.1);
    expect(await take(1, [0, 2])).toEqual([0.5, 1, 1, -1, 0, 0, 16, -4]);
    expect(await take(0, [0, 1, 2])).toEqual([0.5, 0, 1, -1, 0, 0, 16, -4]);
    expect(await take(1, [0, 1, 2])).toEqual([0.5, 1, 4, -2, tenth, 7, 16, -4]);
    expect(await counts.read()).toEqual([2, 6, 5]);
    counts.dispose();
  });
});
