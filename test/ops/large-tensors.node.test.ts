/**
 * Tensors of real sizes beyond one binding (128 MiB by WebGPU's default limits): products, arithmetic and
 * reductions split by themselves. The proofs of the operations do the same with bindings made tiny.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { add } from '../../src/ops/binary.ts';
import { linear } from '../../src/ops/matmul.ts';
import { max, sum } from '../../src/ops/reduce.ts';
import { affine } from '../../src/ops/unary.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { Random } from './nd.ts';

/** 1,700 patches and 20,530 genes: 133 MiB. */
const [rows, genes, width] = [1700, 20_530, 4];

/** Small whole numbers: sums and products of them are exact. */
const random = new Random(5);
const draw = (count: number) => Float32Array.from({ length: count }, () => random.integer(7) - 3);
const [x, weight, bias] = [draw(rows * width), draw(genes * width), draw(genes)];

function element(i: number): number {
  const [row, gene] = [Math.floor(i / genes), i % genes];
  let total = bias[gene]!;
  for (let k = 0; k < width; k++) total += x[row * width + k]! * weight[gene * width + k]!;
  return total;
}

/** Where `found` is not what `expected` says, at every 997th element and at the last ones. */
function wrongElements(found: ArrayLike<number>, expected: (i: number) => number): number[] {
  const wrong: number[] = [];
  for (let i = 0; i < found.length; i += i < found.length - 2000 ? 997 : 1) {
    if (found[i] !== expected(i)) wrong.push(i);
  }
  return wrong;
}

describe("with WebGPU's default limits", () => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open({ defaultLimits: true });
  });
  afterAll(() => device.close());

  it('a product, its gradient, arithmetic and reductions go beyond 128 MiB', async () => {
    expect(4 * rows * genes).toBeGreaterThan(device.bindingBytes);
    const parameter = Parameter.of(Tensor.from(device, weight, [genes, width]));
    const made = scope(() => {
      const shift = Tensor.from(device, bias);
      const y = linear(Tensor.from(device, x, [rows, width]), parameter, shift);
      const z = affine(add(y, shift), 2);
      const loss = sum(z);
      backward(loss);
      return { y, z, loss, columns: sum(z, 0), most: max(y) };
    });
    const y = await made.y.floats();
    expect(y.length).toBe(rows * genes);
    expect(wrongElements(y, element)).toEqual([]);
    const doubled = (i: number) => 2 * (element(i) + bias[i % genes]!);
    expect(wrongElements(await made.z.floats(), doubled)).toEqual([]);
    let total = 0;
    const column = Float64Array.from({ length: genes }, (_, gene) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += doubled(row * genes + gene);
      total += sum;
      return sum;
    });
    expect(wrongElements(await made.columns.floats(), (i) => column[i]!)).toEqual([]);
    // Partial sums of 35 million numbers of ±30 are rounded.
    expect(Math.abs((await made.loss.item()) - total)).toBeLessThan(1e-6 * 30 * rows * genes);
    expect(await made.most.item()).toBe(y.reduce((most, v) => Math.max(most, v), -Infinity));
    // The same for every gene: twice the column sums of x.
    const slopes = Array.from({ length: width }, (_, k) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += 2 * x[row * width + k]!;
      return sum;
    });
    const grad = await parameter.grad!.floats();
    expect(wrongElements(grad, (i) => slopes[i % width]!)).toEqual([]);
  });

  it('a tensor beyond one buffer is refused, with its size, the limit, and what to do', async () => {
    const what =
      /linear.*tensor of 313.\d MiB is larger than the 256.0 MiB .*in one buffer[\s\S]*--max-patches/;
    const [wide, many] = [Tensor.zeros(device, [genes, 1]), Tensor.zeros(device, [4000, 1])];
    await expectError(() => linear(many, wide), 'tensor-too-large', what);
  });
});
