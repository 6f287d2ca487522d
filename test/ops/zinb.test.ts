import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { zinbLoss, zinbOp } from '../../src/ops/zinb.ts';
import { sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd, Random } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

interface Json {
  counts: number[];
  shape: number[];
  ridgeLambda: number;
  eps: number;
}

/** log Γ(t + x) / (Γ(t) x!) as a sum of logarithms, for whole counts. */
function logCoefficient(x: number, t: number): number {
  let total = 0;
  for (let k = 0; k < x; k++) total += Math.log((t + k) / (k + 1));
  return total;
}

function likelihood(x: number, mean: number, disp: number, pi: number, eps: number): number {
  const zero = (disp / (disp + mean + eps)) ** disp;
  if (x === 0) return pi + (1 - pi) * zero + eps;
  const t = disp + eps;
  const log =
    logCoefficient(x, t) - (t + x) * Math.log1p(mean / t) - x * Math.log(t / (mean + eps));
  return (1 - pi + eps) * Math.exp(log);
}

const cases = [[1], [13], [7, 31], [2, 3, 5], [49, 197]].map((shape, i) => {
  const random = new Random(i);
  const counts = Array.from({ length: sizeOf(shape) }, () =>
    random.uniform() < 0.4 ? 0 : random.integer(20),
  );
  return {
    shapes: [shape, shape, shape],
    options: { counts, shape, ridgeLambda: 0.1 * i, eps: 1e-10 },
  };
});

proveOp({
  op: zinbOp,
  options: ({ counts, shape, ...rest }: Json, device) => ({
    ...rest,
    counts: Tensor.from(device, counts, shape),
  }),
  draw: (random, shape, input) =>
    nd(shape, () => (input === 2 ? random.uniform(0.3, 0.7) : random.uniform(0.4, 15))).data,
  cases,
  reference: ([mean, disp, pi], { counts, ridgeLambda, eps }) => {
    let total = 0;
    for (const [i, x] of counts.entries()) {
      const p = pi!.data[i]!;
      total += ridgeLambda * p * p;
      total -= Math.log(likelihood(x, mean!.data[i]!, disp!.data[i]!, p, eps));
    }
    return nd([], () => total / counts.length);
  },
});

describe.each(TUNINGS)('zinb, $tuning', ({ open }) => {
  it('stays finite at the ends of the ranges that models clamp to', async () => {
    const device = await open();
    const [means, disps, pis] = [
      [1e-5, 1, 1e6],
      [1e-4, 1, 1e4],
      [0, 0.5, 1],
    ] as const;
    const all: number[][] = [];
    for (const x of [0, 1, 5e4]) {
      for (const m of means) for (const d of disps) for (const p of pis) all.push([x, m, d, p]);
    }
    const columns = [0, 1, 2, 3].map((i) =>
      Tensor.from(
        device,
        all.map((row) => row[i]!),
      ),
    );
    const [m, d, p] = columns.slice(1).map((t) => Parameter.of(t)) as Parameter[];
    const loss = zinbLoss(columns[0]!, m!, d!, p!);
    backward(loss);
    expect(Number.isFinite(await loss.item())).toBe(true);
    for (const { grad } of [m!, d!, p!]) {
      expect((await grad!.floats()).every((v) => Number.isFinite(v))).toBe(true);
    }
  });

  it('shows a NaN of any input', async () => {
    const device = await open();
    const values = [3, 2, 1.5, 0.25];
    for (const [at] of values.entries()) {
      const inputs = values.map((v, i) => Tensor.from(device, [v, i === at ? Number.NaN : v]));
      const [x, m, d, p] = inputs as [Tensor, Tensor, Tensor, Tensor];
      expect(await zinbLoss(x, m, d, p).item()).toBeNaN();
    }
  });
});

describe('zinbLoss', () => {
  it('scales the mean of each spot, and averages', async () => {
    const device = await testDevice();
    const of = (values: number[]) => Tensor.from(device, values, [2, 2]);
    const [x, m, d, p] = [
      of([0, 3, 2, 0]),
      of([1, 2, 3, 4]),
      of([1, 2, 1, 2]),
      of([0.1, 0.2, 0.3, 0.4]),
    ];
    const scaled = zinbLoss(x, m, d, p, { scaleFactor: [0.5, 2] });
    const byHand = zinbLoss(x, of([0.5, 1, 6, 8]), d, p);
    expect(await scaled.item()).toBe(await byHand.item());
    const doubled = zinbLoss(x, m, d, p, { scaleFactor: 2 });
    expect(await doubled.item()).toBe(await zinbLoss(x, of([2, 4, 6, 8]), d, p).item());
    expect(await doubled.item()).not.toBe(await scaled.item());
  });

  it('says what does not fit', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [4, 3]), Tensor.zeros(device, [4])];
    await expectError(
      () => zinbLoss(b, a, a, a),
      'shape',
      /zinb: expected counts.*\[4\] and \[4, 3\]/,
    );
    const short = { scaleFactor: [1, 2] };
    await expectError(
      () => zinbLoss(a, a, a, a, short),
      'shape',
      /2 scale factors, found \[4, 3\]/,
    );
    const whole = Tensor.from(device, new Uint32Array(12), [4, 3]);
    await expectError(() => zinbLoss(whole, a, a, a), 'dtype', /float32 counts, found u32/);
  });
});
