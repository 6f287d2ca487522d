import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward, requiresGrad } from '../../src/autograd/tape.ts';
import { mul } from '../../src/ops/binary.ts';
import { square } from '../../src/ops/unary.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';

describe('Parameter', () => {
  it('takes over a tensor and outlives scopes', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const parameter = scope(() => {
      const value = Tensor.from(device, [1, 2], [2, 1]);
      const made = Parameter.of(value);
      expect(value.disposed).toBe(true);
      return [made.shape];
    });
    expect(parameter).toEqual([[2, 1]]);
    let kept: Parameter | undefined;
    scope(() => {
      kept = Parameter.of(Tensor.from(device, [3, 4]));
    });
    expect([...(await kept!.floats())]).toEqual([3, 4]);
    kept!.dispose();
    expect(device.memory.live - before).toBe(256); // the first one, which nobody freed
  });

  it('has no gradient while it is frozen', async () => {
    const device = await testDevice();
    const [a, b] = [Parameter.of(Tensor.from(device, [2])), Parameter.of(Tensor.from(device, [3]))];
    scope(() => backward(mul(a, b)));
    expect([a.grad, b.grad].map(Boolean)).toEqual([true, true]);
    a.frozen = true;
    expect([requiresGrad(a), a.grad]).toEqual([false, null]);
    scope(() => {
      backward(mul(a, b));
      expect(requiresGrad(square(a))).toBe(false);
    });
    expect(a.grad).toBeNull();
    expect(await b.grad!.item()).toBe(4);
    a.frozen = false;
    scope(() => backward(mul(a, b)));
    expect(await a.grad!.item()).toBe(3);
    a.dispose();
    b.dispose();
  });

  it('owns its gradient', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const parameter = Parameter.of(Tensor.zeros(device, [2]));
    const grads = scope(() => {
      const made = [Tensor.zeros(device, [2]), Tensor.zeros(device, [2])];
      for (const grad of made) parameter.grad = grad;
      return made.map((grad) => grad.disposed);
    });
    expect(grads).toEqual([true, false]);
    expect(parameter.grad!.disposed).toBe(false);
    parameter.dispose();
    expect(parameter.grad).toBeNull();
    expect(device.memory.live).toBe(before);
  });
});
