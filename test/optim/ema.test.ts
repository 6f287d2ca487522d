import { describe, expect, it } from 'vitest';
import { Device } from '../../src/gpu/device.ts';
import { Ema } from '../../src/optim/ema.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { Random } from '../ops/nd.ts';
import { difference } from '../ops/prove.ts';

describe('Ema', () => {
  it.each(['whole', 'in parts of a binding'])('averages in float64 terms, %s', async (how) => {
    const device = how === 'whole' ? await testDevice() : await Device.open({ bindingBytes: 1024 });
    const random = new Random(1);
    const draw = () => Float32Array.from({ length: 1031 }, () => random.normal());
    const first = draw();
    const p = Tensor.from(device, first);
    const ema = new Ema(new Map([['p', p]]), 0.9);
    const expected = Float64Array.from(first);
    let last = first;
    for (let step = 0; step < 20; step++) {
      last = draw();
      p.assign(last);
      ema.update();
      expected.forEach((e, i) => {
        expected[i] = 0.9 * e + 0.1 * last[i]!;
      });
    }
    const average = (await ema.stateDict()).get('p')!.data;
    expect(difference(average, expected, { relative: 1e-6, floor: 0 })).toBeNull();
    expect(await p.floats()).toEqual(last);
    ema.swap();
    expect(await p.floats()).toEqual(average);
    expect((await ema.stateDict()).get('p')!.data).toEqual(last);
    ema.swap();
    expect(await p.floats()).toEqual(last);
    const other = Tensor.zeros(device, [1031]);
    ema.copyTo(new Map([['p', other]]));
    expect(await other.floats()).toEqual(average);
    ema.dispose();
    if (how !== 'whole') device.close();
  });

  it('goes on from a saved state with the same bits, and refuses another model', async () => {
    const device = await testDevice();
    const p = Tensor.from(device, [1, 2, 3]);
    const named = new Map([['p', p]]);
    const ema = new Ema(named, 0.5);
    p.assign(Float32Array.of(5, 6, 7));
    ema.update();
    const saved = await ema.stateDict();
    expect(saved.get('p')!.data).toEqual(Float32Array.of(3, 4, 5));
    const again = new Ema(named, 0.5);
    again.loadStateDict(saved);
    for (const e of [ema, again]) e.update();
    expect(await again.stateDict()).toEqual(await ema.stateDict());
    const mismatch = /no p of shape \[3\]/;
    await expectError(() => again.loadStateDict(new Map()), 'checkpoint-mismatch', mismatch);
    const wrong = new Map([['p', Tensor.zeros(device, [2])]]);
    await expectError(() => again.copyTo(wrong), 'checkpoint-mismatch', mismatch);
    await expectError(() => new Ema(named, 1.1), 'option', /found 1.1/);
  });
});
