import { expect, it } from 'vitest';
import { accumulate } from '../../src/tensor/accumulate.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { TUNINGS } from '../ops/prove.ts';

it.each(TUNINGS)(
  'adds tensors whose size is no multiple of anything, $tuning',
  async ({ open, tight }) => {
    for (const device of [await open(), await tight()]) {
      const values = Float32Array.from({ length: 5001 }, (_, i) => i);
      const [a, b] = [values, values.map((v) => -2 * v)].map((v) => Tensor.from(device, v));
      expect(await accumulate(a!, b!).floats()).toEqual(values.map((v) => 0 - v));
    }
  },
);
