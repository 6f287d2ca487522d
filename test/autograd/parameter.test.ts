import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
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
