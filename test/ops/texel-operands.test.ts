import { expect, it } from 'vitest';
import { possible, possibleAttention } from '../../src/gpu/tuning.ts';
import { fitTexels, repaysTexels } from '../../src/ops/texel-operands.ts';
import { testDevice } from '../device.ts';

it('copies what is used often, in work that takes a while', () => {
  const product = (m: number, n: number, k: number) => repaysTexels(m * n * k, [m * k, k * n]);
  expect(product(1024, 1024, 1024)).toBe(true);
  expect(product(1600, 64, 1024)).toBe(true);
  expect(product(16, 20_530, 1024)).toBe(false); // each number of the large operand is used 16 times
  expect(product(128, 128, 128)).toBe(false); // 2 M multiply-adds
});

it('copies what fits a texture', async () => {
  const device = await testDevice();
  const most = device.texelBytes / 4;
  expect(most).toBeGreaterThan(2 ** 22);
  expect(fitTexels(device, [16, most])).toBe(true);
  expect(fitTexels(device, [most + 1, 16])).toBe(false);
});

it('is for subgroups of 8 lanes; others read buffers', () => {
  const found = [8, 4, 0].map((lanes) => possible({ kernel: 'texels' }, lanes).kernel);
  expect(found).toEqual(['texels', 'subgroup', 'rows']);
  const attention = [8, 4, 0].map((lanes) =>
    possibleAttention({ kernel: 'texels', vecs: 8 }, lanes),
  );
  expect(attention.map(({ kernel }) => kernel)).toEqual(['texels', 'subgroup', 'tiled']);
  expect(attention[1]).toEqual({ kernel: 'subgroup', vecs: 8 });
});
