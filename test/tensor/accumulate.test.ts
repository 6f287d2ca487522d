import { expect, it } from 'vitest';
import { accumulate } from '../../src/tensor/accumulate.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { TUNINGS } from '../ops/prove.ts';

it.each(TUNINGS)(
  'adds tensors whose size is no multiple of anything, $tuning',
  async ({ open }) => {
    const device = await open();
    const values = Float32Array.from({ length: 1031 }, (_, i) => i);
    const [a, b] = [values, values.map((v) => -2 * v)].map((v) => Tensor.from(device, v));
    expect(await accumulate(a!, b!).floats()).toEqual(values.map((v) => 0 - v));
  },
);
