import { describe, expect, it } from 'vitest';
import { keep, scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

describe('scope', () => {
  it('frees what was created inside, but not what it returns, at any depth', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const zeros = () => Tensor.zeros(device, [4]);
    const inner: Tensor[] = [];
    const result = scope(() => {
      inner.push(zeros(), zeros());
      return {
        list: [zeros()],
        map: new Map([['a', { deep: zeros() }]]),
        set: new Set([zeros()]),
        number: 1,
        nothing: null,
      };
    });
    expect(inner.map((t) => t.disposed)).toEqual([true, true]);
    const kept = [result.list[0]!, result.map.get('a')!.deep, ...result.set];
    expect(kept.map((t) => t.disposed)).toEqual([false, false, false]);
    for (const tensor of kept) tensor.dispose();
    expect(device.memory.live).toBe(before);
  });

  it('hands what it returns to the enclosing scope', async () => {
    const device = await testDevice();
    let passed: Tensor | undefined;
    const result = scope(() => {
      passed = scope(() => Tensor.zeros(device, [1]));
      expect(passed.disposed).toBe(false);
      return scope(() => Tensor.zeros(device, [2]));
    });
    expect([passed!.disposed, result.disposed]).toEqual([true, false]);
    result.dispose();
  });

  it('hands on everything when told to free nothing', async () => {
    const device = await testDevice();
    for (const frees of [true, false]) {
      let inner: Tensor | undefined;
      scope(() => {
        const result = scope(
          () => {
            inner = Tensor.zeros(device, [1]);
            return Tensor.zeros(device, [2]);
          },
          ({ shape }) => frees && shape[0] === 2,
        );
        expect([inner!.disposed, result.disposed]).toEqual([frees, false]);
      });
      expect(inner!.disposed).toBe(true);
    }
  });

  it('leaves alone what it did not create', async () => {
    const device = await testDevice();
    const outside = Tensor.zeros(device, [1]);
    expect(scope(() => outside)).toBe(outside);
    scope(() => outside.shape);
    expect(outside.disposed).toBe(false);
    outside.dispose();
  });

  it('spares what is kept, in all scopes', async () => {
    const device = await testDevice();
    let kept: Tensor | undefined;
    scope(() => {
      scope(() => {
        kept = keep(Tensor.zeros(device, [1]));
      });
    });
    expect(kept!.disposed).toBe(false);
    kept!.dispose();
  });

  it('frees when its body throws, and leaves the enclosing scope intact', async () => {
    const device = await testDevice();
    const created: Tensor[] = [];
    const make = () => created.push(Tensor.zeros(device, [1]));
    scope(() => {
      make();
      const inner = () =>
        scope(() => {
          make();
          throw new Error('mine');
        });
      expect(inner).toThrow('mine');
      expect(created.map((t) => t.disposed)).toEqual([false, true]);
      make();
    });
    expect(created.map((t) => t.disposed)).toEqual([true, true, true]);
  });

  it('refuses async functions, and frees what they made', async () => {
    const device = await testDevice();
    let tensor: Tensor | undefined;
    const act = () =>
      scope(async () => {
        tensor = Tensor.zeros(device, [1]);
        await null;
        return tensor.data(); // rejects: nobody hears of it
      });
    await expectError(act, 'async-scope', /async function.*\n.*await its data\(\) outside/);
    expect(tensor!.disposed).toBe(true);
    expect(scope(() => 1)).toBe(1);
  });
});
