/** The pinned tunings: fit for every device, and right. */
import { describe, expect, it } from 'vitest';
import { chooseAdapter } from '../../src/gpu/adapter.ts';
import {
  chooseTuning,
  defaultTuning,
  describeTuning,
  knobLines,
} from '../../src/gpu/choose-tuning.ts';
import { Device } from '../../src/gpu/device.ts';
import {
  ATTENTION_TILE,
  possibleAttention,
  type Tuning,
  tuningMark,
  tuningProblems,
} from '../../src/gpu/tuning.ts';
import { TUNINGS, type TuningName } from '../../src/gpu/tunings.ts';
import { attention } from '../../src/ops/attention.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { maxPool2d } from '../../src/ops/pool2d.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { Random } from '../ops/nd.ts';
import { difference } from '../ops/prove.ts';

const NAMES = Object.keys(TUNINGS) as TuningName[];

type Draw = (...shape: number[]) => Tensor;

const product = (a: Shape, b: Shape) => (draw: Draw) => matmul(draw(...a), draw(...b));
const convolution = (outputs: number) => (draw: Draw) =>
  conv2d(draw(1, 6, 9, 7), draw(outputs, 6, 3, 3), null, { padding: 1 });

/** A little work of every shape class, and the part of a tuning that it runs with. */
const WORK: readonly [part: (tuning: Tuning) => unknown, run: (draw: Draw) => Tensor][] = [
  [(t) => t.matmul.fewRows, product([3, 70], [70, 130])],
  [(t) => t.matmul.fewColumns, product([33, 40], [40, 5])],
  [(t) => t.matmul.skinny, product([20, 40], [40, 68])],
  [(t) => t.matmul.small, product([130, 20], [20, 132])],
  [(t) => t.matmul.large, product([128, 130, 20], [128, 20, 132])],
  [(t) => t.enoughGroups, product([20, 600], [600, 68])],
  [(t) => t.conv.fewRows, convolution(5)],
  [(t) => t.conv.narrow, convolution(33)],
  [(t) => t.conv.wide, convolution(130)],
  [(t) => t.lines, (draw) => maxPool2d(draw(2, 3, 20, 21), 3, { stride: 2, padding: 1 })],
  [(t) => [t.rows, t.class], (draw) => softmax(draw(5, 300))],
  [
    (t) => t.attention,
    (draw) => attention(draw(1, 1, 70, 8), draw(1, 1, 35, 8), draw(1, 1, 35, 8)),
  ],
];

/** Its results, for the parts that are not among `seen`; all numbers are small integers. */
async function workOn(device: Device, seen = new Set<string>()) {
  const results: (Float32Array | null)[] = [];
  for (const [i, [part, run]] of WORK.entries()) {
    const key = JSON.stringify([i, part(device.tuning)]);
    if (seen.has(key)) {
      results.push(null);
      continue;
    }
    seen.add(key);
    const random = new Random(i);
    const draw: Draw = (...shape) => {
      const size = shape.reduce((a, b) => a * b);
      const data = Float32Array.from({ length: size }, () => random.integer(7) - 3);
      return Tensor.from(device, data, shape);
    };
    const out = scope(() => run(draw));
    results.push(await out.floats());
    out.dispose();
  }
  return results;
}

describe('the pinned tunings', () => {
  it.each(NAMES)('%s needs no more than every WebGPU device offers', (name) => {
    expect(tuningProblems(TUNINGS[name])).toEqual([]);
    expect(TUNINGS[name].name).toBe(name);
  });

  it('give the same numbers, on devices of default limits', async () => {
    const own = await Device.open({ defaultLimits: true });
    const seen = new Set<string>();
    const expected = await workOn(own, seen);
    own.close();
    const wrong: string[] = [];
    for (const name of NAMES) {
      const device = await Device.open({ defaultLimits: true, tuning: name });
      for (const [i, values] of (await workOn(device, seen)).entries()) {
        const allowance = { relative: 1e-6, floor: 0 };
        const problem = values && difference(values, expected[i]!, allowance);
        if (problem) wrong.push(`${name}, work ${i}: ${problem}`);
      }
      device.close();
    }
    expect(wrong).toEqual([]);
    expect(seen.size).toBeGreaterThan(2 * WORK.length);
    // Thirty kernels to compile: on SwiftShader beside other work that has taken a minute.
  }, 180_000);

  it('are chosen by vendor', () => {
    const info = (vendor: string): GPUAdapterInfo => ({
      __brand: 'GPUAdapterInfo',
      vendor,
      architecture: '',
      device: '',
      description: '',
      isFallbackAdapter: false,
      subgroupMinSize: 32,
      subgroupMaxSize: 32,
    });
    expect(defaultTuning(info('nvidia'), 'gpu')).toBe(TUNINGS.nvidia);
    expect(defaultTuning(info('AMD'), 'gpu')).toBe(TUNINGS.amd);
    expect(defaultTuning(info('qualcomm'), 'gpu')).toBe(TUNINGS.gpu);
    expect(defaultTuning(info('mesa'), 'cpu')).toBe(TUNINGS.cpu);
  });
});

describe('a tuning', () => {
  const { matmul: products } = TUNINGS.cpu;
  const tuned = (large: Tuning['matmul']['large']): Tuning => ({
    ...TUNINGS.cpu,
    name: 'mine',
    matmul: { ...products, large },
  });

  it('is refused with the numbers that do not fit', async () => {
    const tuning = tuned({ kernel: 'tiled', threads: [16, 32], blocks: [2, 3], slice: 64 });
    const refused = Device.open({ tuning });
    await expectError(() => refused, 'bad-tuning', /'mine' cannot be used/);
    await expectError(
      () => refused,
      'bad-tuning',
      /matmul.large.blocks\[1\] is 3, expected a power/,
    );
    await expectError(() => refused, 'bad-tuning', /matmul.large.slice is 64/);
    await expectError(
      () => refused,
      'bad-tuning',
      /matmul.large.threads is \[16,32\], expected up to 256/,
    );
    await expectError(() => refused, 'bad-tuning', /large's workgroup memory is 131072/);
  });

  it('is refused with an attention that no device can run', () => {
    const problems = (attention: Tuning['attention']) =>
      tuningProblems({ ...TUNINGS.cpu, attention });
    expect(problems({ kernel: 'tiled', threads: [32, 16], slice: 2, vecs: 3 })).toEqual([
      'attention.slice is 2, expected a power of two from 4 to 32',
      'attention.vecs is 3, expected a power of two from 1 to 4',
      'attention.threads is [32,16], expected up to 256 in all',
      "attention's workgroup memory is 44032, expected up to 16384 bytes",
    ]);
    expect(problems({ ...ATTENTION_TILE, threads: [6, 1] })).toEqual([
      'attention.threads[0] is 6, expected a power of two from 2 to 256',
      'attention.threads[1] is 1, expected a power of two from 2 to 256',
    ]);
    expect(problems({ kernel: 'subgroup', vecs: 2 })).toEqual([
      'attention.vecs is 2, expected a power of two from 4 to 16',
    ]);
  });

  it('whose attention needs other subgroups than there are falls back on a tile', () => {
    const attention = { kernel: 'subgroup', vecs: 16 } as const;
    expect([4, 8].map((lanes) => possibleAttention(attention, lanes))).toEqual([
      attention,
      attention,
    ]);
    for (const lanes of [0, 16, 32])
      expect(possibleAttention(attention, lanes)).toBe(ATTENTION_TILE);
    expect(possibleAttention(ATTENTION_TILE, 8)).toBe(ATTENTION_TILE);
  });

  it('is known by a mark of its content, unless it is the pinned one', async () => {
    const chosen = await chooseAdapter();
    const own = await chooseTuning(chosen);
    expect(own.mark).toBeUndefined();
    expect((await chooseTuning(chosen, { ...own.tuning, name: 'renamed' })).mark).toBeUndefined();
    const tuning = tuned({ kernel: 'rows', workgroup: 16 });
    const found = await chooseTuning(chosen, tuning);
    expect(found.mark).toBe(tuningMark(tuning));
    expect(found.mark).not.toBe(tuningMark(tuned({ kernel: 'rows', workgroup: 4 })));
    expect(describeTuning(found)).toBe(`mine ${found.mark} (given by the program)`);
    expect(knobLines(found)).toEqual([
      `tuning: mine ${found.mark} (given by the program)`,
      expect.stringMatching(/^Dawn toggles: ./),
    ]);
  });

  it('of another class than the adapter is told by its name', async () => {
    const chosen = await chooseAdapter();
    const other = chosen.class === 'cpu' ? 'gpu' : 'cpu';
    const found = await chooseTuning(chosen, other);
    expect(found.tuning).toBe(TUNINGS[other]);
    expect(found.mark).toBe(tuningMark(TUNINGS[other]));
    const own = chosen.class;
    expect((await chooseTuning(chosen, own)).mark).toBeUndefined();
  });
});
