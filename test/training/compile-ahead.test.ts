/** A training whose kernels are compiled ahead: its first step compiles nothing, and it ends with the same bits. */
import { afterEach, expect, it, vi } from 'vitest';
import { Device } from '../../src/gpu/device.ts';
import { train } from '../../src/training/train.ts';
import { testDevice } from '../device.ts';
import { exampleCohort, exampleOptions, GENES, MemoryRecord, SMALL } from './example.ts';

afterEach(() => void vi.restoreAllMocks());

const { source, targets, split } = exampleCohort();

/** Of a training in mixed precision, without validation, so that all that is compiled is of its steps. */
async function outcome(device: Device, streamAbove: number | undefined, compileAhead: boolean) {
  const record = new MemoryRecord();
  const { model, peakBytes, ...result } = await train({
    ...{ device, source, genes: GENES, targets, kind: 'direct-abmil', compileAhead, record },
    modelOptions: SMALL['direct-abmil'],
    split: { ...split, train: split.train.slice(0, 4), validation: [] },
    options: exampleOptions({
      ...{ epochs: 2, batchSize: 2, maxPatches: 3, precision: 'mixed', maxNorm: 0.5, streamAbove },
    }),
  });
  const parameters = [...(await model.stateDict())].map(([name, { data }]) => [name, [...data]]);
  model.dispose();
  return { parameters, points: result.points, skipped: result.skippedSteps, log: record.log };
}

it.each([
  ['whole slides', undefined],
  ['slides in pieces', 2],
])('%s', async (_, streamAbove) => {
  const expected = await outcome(await testDevice(), streamAbove, false);
  const device = await Device.open({ matrixUnit: null });
  const compiled = vi.spyOn(device.raw, 'createComputePipeline');
  const aside = vi.spyOn(device.raw, 'createComputePipelineAsync');
  const { compileAhead } = device;
  const ahead = vi.spyOn(device, 'compileAhead').mockImplementation(async (body) => {
    await compileAhead.call(device, body);
    compiled.mockClear(); // what was compiled before, of the model's first values
  });
  expect(await outcome(device, streamAbove, true)).toEqual(expected);
  expect(ahead).toHaveBeenCalledTimes(1);
  expect(aside.mock.calls.length).toBeGreaterThan(20);
  expect(compiled.mock.calls.map(([{ label }]) => label)).toEqual([]);
  device.close();
});
