import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import {
  backward,
  backwardFrom,
  noGrad,
  record,
  requiresGrad,
  trimmed,
} from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { add, mul } from '../../src/ops/binary.ts';
import { linear, matmul } from '../../src/ops/matmul.ts';
import { mse } from '../../src/ops/mse.ts';
import { mean, sum } from '../../src/ops/reduce.ts';
import { affine, exp, relu, square } from '../../src/ops/unary.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice, tightDevice } from '../device.ts';

const parameter = (device: Device, ...values: number[]) =>
  Parameter.of(Tensor.from(device, values));

async function gradOf(p: Parameter): Promise<number[]> {
  return [...(await p.grad!.floats())];
}

describe('backward', () => {
  it('gives the gradient of a sum', async () => {
    const x = parameter(await testDevice(), 1, 2, 3);
    backward(sum(square(x)));
    expect(await gradOf(x)).toEqual([2, 4, 6]);
  });

  it('adds up over the uses of a tensor, over its paths, and over calls', async () => {
    const device = await testDevice();
    const x = parameter(device, 3, -1);
    // y = x², z = y + y·x, of which y is used three times: dz/dx = 2x + 3x².
    const graph = () => {
      const y = square(x);
      return sum(add(y, mul(y, x)));
    };
    backward(graph());
    expect(await gradOf(x)).toEqual([33, 1]);
    backward(graph());
    expect(await gradOf(x)).toEqual([66, 2]);
    x.grad = null;
    backward(sum(mul(x, x)));
    expect(await gradOf(x)).toEqual([6, -2]);
  });

  it('goes through a diamond whose sides were recorded in either order', async () => {
    const x = parameter(await testDevice(), 2);
    const y = square(x);
    const early = affine(y, 3);
    const late = affine(affine(affine(y, 2), 1, 1), 5);
    backward(sum(add(late, early)));
    expect(await gradOf(x)).toEqual([13 * 2 * 2]);
  });

  it('computes only gradients that someone wants', async () => {
    const device = await testDevice();
    const weight = Parameter.of(Tensor.from(device, [1, 2, 3, 4], [2, 2]));
    const x = Tensor.from(device, [1, 1], [1, 2]);
    const unused = parameter(device, 1);
    const loss = sum(matmul(x, weight));
    const { dispatches } = device.counts;
    backward(loss);
    // d(sum) is spread, d(weight) is one product; there is none for x.
    expect(device.counts.dispatches - dispatches).toBe(2);
    expect(await gradOf(weight)).toEqual([1, 1, 1, 1]);
    expect(unused.grad).toBeNull();
    expect([requiresGrad(x), requiresGrad(weight), requiresGrad(loss)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('does not overflow the stack on a deep graph', async () => {
    const device = await testDevice();
    const x = parameter(device, 1);
    scope(() => {
      let y: Tensor = x;
      for (let i = 0; i < 2500; i++) y = affine(y, i % 2 === 0 ? 2 : 0.5);
      backward(sum(y));
    });
    expect(await gradOf(x)).toEqual([1]);
  });

  it('frees what it used: live bytes are as before', async () => {
    const device = await testDevice();
    const x = Parameter.of(Tensor.from(device, [1, 2, 3, 4, 5, 6], [2, 3]));
    const before = device.memory.live;
    const loss = sum(square(x));
    backward(loss);
    x.grad = null;
    scope(() => backward(mean(mul(x, x))));
    x.grad = null;
    // `loss` and its square were made outside any scope: they are still there.
    expect(device.memory.live - before).toBe(512);
    x.dispose();
  });
});

describe('backward refuses', () => {
  it('a loss of more than one element', async () => {
    const x = parameter(await testDevice(), 1, 2);
    await expectError(() => backward(square(x)), 'shape', /a loss of one element, found \[2\]/);
  });

  it('a loss that depends on nothing trained', async () => {
    const device = await testDevice();
    const x = Tensor.from(device, [1, 2]);
    await expectError(
      () => backward(sum(x)),
      'no-gradient',
      /nothing that the loss was computed from/,
    );
    const p = parameter(device, 1);
    const untracked = noGrad(() => sum(p));
    await expectError(() => backward(untracked), 'no-gradient', /requires a gradient/);
    expect(requiresGrad(untracked)).toBe(false);
  });

  it('a graph it has gone through', async () => {
    const x = parameter(await testDevice(), 1, 2);
    const y = square(x);
    const loss = sum(y);
    backward(loss);
    await expectError(() => backward(loss), 'backward-twice', /went through this graph before/);
    await expectError(() => backward(sum(exp(y))), 'backward-twice', /used up/);
    expect(await gradOf(x)).toEqual([2, 4]);
  });

  it('second derivatives', async () => {
    const x = parameter(await testDevice(), 1, 2);
    backward(sum(square(x)));
    const slope = sum(square(x.grad!));
    await expectError(() => backward(slope), 'no-gradient', /requires a gradient/);
  });

  it('a seed that does not fit', async () => {
    const device = await testDevice();
    const x = parameter(device, 1, 2);
    const seed = Tensor.zeros(device, [2, 1]);
    const found = /a seed of shape \[2\], that of the result, found \[2, 1\]/;
    await expectError(() => backwardFrom(square(x), seed), 'shape', found);
    const integers = Tensor.from(device, Int32Array.of(1, 2));
    await expectError(
      () => backwardFrom(square(x), integers),
      'dtype',
      /expected a seed of f32 .*found i32/,
    );
    const elsewhere = Tensor.zeros(await tightDevice(), [2]);
    await expectError(
      () => backwardFrom(square(x), elsewhere),
      'device-mismatch',
      /on the device of the result, found f32 on another device/,
    );
  });

  it('a graph whose values were freed', async () => {
    const x = parameter(await testDevice(), 1, 2);
    const between = exp(x);
    const loss = sum(square(between));
    between.dispose();
    await expectError(() => backward(loss), 'use-after-free', /\[2\] was used after it was freed/);
  });

  it('values that were overwritten after the loss was computed', async () => {
    const device = await testDevice();
    const x = parameter(device, 1, 2);
    const weight = parameter(device, 3, 4);
    const loss = sum(mul(x, weight));
    weight.assign(Float32Array.of(5, 6));
    const found =
      /input 1 of mul, a tensor of shape \[2\], was overwritten after mul was computed: expected version 0, found version 1[\s\S]*Call backward\(\) before assign/;
    await expectError(() => backward(loss), 'modified-in-place', found);
    // A result, through a view of it; and by a kernel, that says so.
    const y = exp(x);
    const second = sum(y);
    y.view([1, 2]).bumpVersion();
    const result = /(input 0 of sum|the result of exp), .*expected version 0, found version 1/;
    await expectError(() => backward(second), 'modified-in-place', result);
    // Before it is computed, and once its gradient is there, nothing is in the way.
    const third = sum(mul(x, weight));
    backward(third);
    weight.assign(Float32Array.of(7, 8));
    backward(sum(mul(x, weight)));
    expect(await gradOf(x)).toEqual([12, 14]);
  });

  it('a gradient of the wrong shape, by the name of its operation', async () => {
    const device = await testDevice();
    const x = parameter(device, 1, 2);
    const y = Tensor.from(device, [1]);
    record('broken', y, [x], () => [Tensor.zeros(device, [3])], []);
    const { live } = device.memory;
    const found = /gradient of broken for input 0 has shape \[3\], expected \[2\]/;
    await expectError(() => backward(y), 'gradient-shape', found);
    // Nothing is left behind, and recording goes on.
    expect(device.memory.live).toBe(live);
    backward(sum(square(x)));
    expect(await gradOf(x)).toEqual([2, 4]);
  });
});

describe('noGrad', () => {
  it('records nothing inside, also when nested, and everything after a throw', async () => {
    const x = parameter(await testDevice(), 1);
    const inside = noGrad(() => {
      noGrad(() => square(x));
      return square(x);
    });
    expect(requiresGrad(inside)).toBe(false);
    const throwing = () =>
      noGrad(() => {
        throw new Error('mine');
      });
    expect(throwing).toThrow('mine');
    expect(requiresGrad(square(x))).toBe(true);
  });
});

describe('a training loop', () => {
  const [rows, inputs, hidden] = [33, 20, 17];
  const wave = (count: number, step: number) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(i * step));

  async function train(device: Device, steps: number) {
    const tensor = (values: Float32Array, ...shape: number[]) => Tensor.from(device, values, shape);
    const parameters = [
      tensor(wave(hidden * inputs, 0.7), hidden, inputs),
      tensor(wave(hidden, 0.3), hidden),
      tensor(wave(hidden, 1.1), 1, hidden),
    ].map((value) => Parameter.of(value));
    const [w1, b1, w2] = parameters as [Parameter, Parameter, Parameter];
    const memory: { live: number; pooled: number }[] = [];
    const losses: Tensor[] = [];
    for (let step = 0; step < steps; step++) {
      const loss = scope(() => {
        const x = tensor(wave(rows * inputs, 0.1 + step / 1000), rows, inputs);
        const target = tensor(wave(rows, 0.2), rows, 1);
        const result = mse(linear(relu(linear(x, w1, b1)), w2), target);
        backward(result);
        noGrad(() => {
          for (const p of parameters) {
            const moved = add(p, affine(p.grad!, -0.01));
            device.copy(moved.buffer, p.buffer, 4 * p.size);
            p.grad = null;
          }
        });
        return result;
      });
      if (step % 100 === 99) {
        await device.sync();
        const { live, pooled } = device.memory;
        memory.push({ live, pooled });
      }
      if (step === 0 || step === steps - 1) losses.push(loss);
      else loss.dispose();
    }
    const weights = await Promise.all(parameters.map((p) => p.floats()));
    const values = [await losses[0]!.item(), await losses[1]!.item()];
    for (const t of [...parameters, ...losses]) t.dispose();
    return { weights, memory, values };
  }

  it('learns, and its memory stays flat over 500 steps', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const { memory, values } = await train(device, 500);
    expect(values[1]).toBeLessThan(values[0]! / 2);
    expect(memory.length).toBe(5);
    for (const use of memory) expect(use).toEqual(memory[0]);
    expect(device.memory.live).toBe(before);
  });

  it('gives the same bits twice', async () => {
    const device = await testDevice();
    const [first, second] = [await train(device, 20), await train(device, 20)];
    expect(second.weights).toEqual(first.weights);
    expect(second.values).toEqual(first.values);
  });
});

describe('trimmed', () => {
  it('frees what led to other values only, and keeps what a gradient reads', async () => {
    const device = await testDevice();
    const x = Parameter.of(
      Tensor.from(
        device,
        Float32Array.from({ length: 256 }, (_, i) => i / 99),
      ),
    );
    const bytes = 1024;
    const chainOf = (seen: Tensor[]) => {
      const note = (tensor: Tensor) => {
        seen.push(tensor);
        return tensor;
      };
      // mul reads its inputs, add nothing.
      const doubled = note(add(x, x));
      const squared = note(mul(doubled, doubled));
      return note(add(squared, squared));
    };
    const run = (through: <T>(body: () => T) => T) => {
      const before = device.memory.live;
      const seen: Tensor[] = [];
      return scope(() => {
        const y = through(() => chainOf(seen));
        const held = (device.memory.live - before) / bytes;
        const freed = seen.map((tensor) => tensor.disposed);
        if (requiresGrad(y)) backward(sum(y));
        return { held, freed };
      });
    };
    expect(run((body) => body())).toEqual({ held: 3, freed: [false, false, false] });
    const whole = await x.grad!.floats();
    x.grad = null;
    expect(run(trimmed)).toEqual({ held: 2, freed: [false, true, false] });
    expect(await x.grad!.floats()).toEqual(whole);
    const untaped = run((body) => noGrad(() => trimmed(body)));
    expect(untaped).toEqual({ held: 1, freed: [true, true, false] });
    x.dispose();
  });
});
