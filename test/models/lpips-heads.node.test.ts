import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Checkpoint, parseCheckpoint } from '../../src/data/checkpoint.ts';
import { readCheckpoint } from '../../src/data/node/read-checkpoint.ts';
import { serializeSafetensors } from '../../src/data/safetensors.ts';
import { lpipsHeads } from '../../src/models/lpips-heads.ts';
import { featureDistance } from '../../src/ops/feature-distance.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

const LPIPS = new URL('../../../shared/data/weights/alex.pth', import.meta.url);

const fileOf = (tensors: Record<string, { shape: number[]; data: Float32Array }>): Checkpoint =>
  parseCheckpoint(serializeSafetensors(tensors), 'heads');

it.skipIf(!existsSync(LPIPS))('the published weights measure distances of features', async () => {
  const device = await testDevice();
  const heads = lpipsHeads(device, await readCheckpoint(LPIPS.pathname));
  expect(heads.map(({ shape }) => shape[1])).toEqual([64, 192, 384, 256, 256]);
  const features = (value: number) =>
    heads.map(({ shape }) => {
      const ramp = Float32Array.from({ length: shape[1]! * 4 }, (_, i) => 1 + ((value * i) % 7));
      return Tensor.from(device, ramp, [1, shape[1]!, 2, 2]);
    });
  const [a, b] = [features(1), features(2)];
  const same = await featureDistance(a, a, heads).floats();
  const other = await featureDistance(a, b, heads).floats();
  expect(same[0]).toBe(0);
  expect(other[0]).toBeGreaterThan(0.01);
  for (const tensor of [...a, ...b, ...heads]) tensor.dispose();
});

it('refuses other files', async () => {
  const device = await testDevice();
  const head = (...values: number[]) => ({
    shape: [1, values.length, 1, 1],
    data: Float32Array.from(values),
  });
  const refuses = (file: Checkpoint, text: RegExp) =>
    expectError(() => lpipsHeads(device, file), 'checkpoint-mismatch', text);
  const [first, second] = ['lin0.model.1.weight', 'lin1.model.1.weight'];
  const good = lpipsHeads(device, fileOf({ [second]: head(3), [first]: head(1, 2) }));
  expect(await Promise.all(good.map(async (head) => [...(await head.floats())]))).toEqual([
    [1, 2],
    [3],
  ]);
  for (const tensor of good) tensor.dispose();
  await refuses(fileOf({ [second]: head(3) }), /found lin1/);
  await refuses(fileOf({ [first]: head(1), other: head(1) }), /alone/);
  await refuses(fileOf({ [first]: head(1, -1) }), /negative/);
  await refuses(fileOf({ [first]: { shape: [2], data: new Float32Array(2) } }), /\[2\]/);
});
