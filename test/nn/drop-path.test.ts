import { describe, expect, it } from 'vitest';
import { DropPath } from '../../src/nn/drop-path.ts';
import { dropPath } from '../../src/ops/drop-path.ts';
import { Generator } from '../../src/tensor/random.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';
import { proveLayer } from './prove-layer.ts';

proveLayer({
  layer: DropPath,
  make: (init, { p }: { p: number }) => new DropPath(init, p),
});

describe('layer DropPath', () => {
  it('draws anew in training, and does nothing in evaluation or with p = 0', async () => {
    const device = await testDevice();
    const generator = new Generator(3);
    const x = Tensor.from(device, new Float32Array(200).fill(1), [100, 2]);
    const layer = new DropPath({ device, generator }, 0.3);
    const expected = await dropPath(x, 0.3, new Generator(3).next()).floats();
    const first = await layer.forward(x).floats();
    expect(first).toEqual(expected);
    expect(await layer.forward(x).floats()).not.toEqual(first);
    expect(layer.eval().forward(x)).toBe(x);
    expect(new DropPath({ device, generator }, 0).forward(x)).toBe(x);
    expect(generator.offset).toBe(2);
    expect(layer.namedParameters().size + layer.namedBuffers().size).toBe(0);
  });
});
