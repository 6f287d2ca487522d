import { expect, it } from 'vitest';
import { uploadBags } from '../../src/training/bag-source.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { roundedToHalf } from '../halves.ts';

const OFFSETS = Uint32Array.of(0, 1, 3);

it('brings bags to the GPU in float16 where that is asked for, after they are scaled', async () => {
  const device = await testDevice();
  const features = Float32Array.of(1e5, 0.1, 1e5 + 64, 3, 1e5 - 64, 1 / 3);
  const scale = { mean: Float32Array.of(1e5, 0), std: Float32Array.of(64, 2) };
  const bags = uploadBags(
    device,
    { indices: [0, 1], features, offsets: OFFSETS },
    { width: 2 },
    scale,
    'f16',
  );
  expect([bags.features.dtype, bags.features.shape, bags.features.bytes]).toEqual([
    'f16',
    [3, 2],
    12,
  ]);
  const expected = [0, 0.05, 1, 1.5, -1, 1 / 6].map(roundedToHalf);
  expect([...(await bags.features.floats())]).toEqual(expected);
  bags.features.dispose();
  bags.segments.dispose();
});

it('refuses features that float16 does not reach', async () => {
  const device = await testDevice();
  const features = Float32Array.of(1, 2, 3, 4, 5, -65_505);
  const upload = (slides?: { id: string; rows: number }[]) => {
    const source = { width: 2, ...(slides && { slides }) };
    return uploadBags(device, { indices: [2, 1], features, offsets: OFFSETS }, source, null, 'f16');
  };
  const found = /row 2 of a batch, column 1 .* is -65505, beyond the 65504/;
  await expectError(upload, 'half-range', found);
  const slides = ['A', 'B', 'C'].map((id, i) => ({ id, rows: 2 * i }));
  await expectError(() => upload(slides), 'half-range', /row 1 of slide B, column 1 /);
  slides[1]!.rows = 9;
  const drawn = /row 1 of the 2 patches drawn from slide B, column/;
  await expectError(() => upload(slides), 'half-range', drawn);
  features[5] = 65_504;
  const { features: tensor, segments } = upload();
  expect((await tensor.floats())[5]).toBe(65_504);
  tensor.dispose();
  segments.dispose();
});
