/** Tuning, with the times made up. */
import { describe, expect, it } from 'vitest';
import type { Contestant } from '../../kernels-bench/measure.ts';
import type { Timing } from '../../kernels-bench/run.ts';
import { type TuneOptions, tune } from '../../kernels-bench/tune.ts';
import { choose, GROUP, type Race } from '../../kernels-bench/tuning/choose.ts';
import { type Knob, knob } from '../../kernels-bench/tuning/knob.ts';
import { knobs } from '../../kernels-bench/tuning/knobs.ts';
import { tuningProblems } from '../../src/gpu/tuning.ts';
import type { StoredTuning } from '../../src/gpu/tuning-store.ts';
import { TUNINGS } from '../../src/gpu/tunings.ts';
import { affine } from '../../src/ops/unary.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';

function middle(median: number, spread: number): [number, number] {
  return [median * (1 - spread), median * (1 + spread)];
}

function timing(median: number, spread = 0.01): Timing {
  return { median, quartiles: middle(median, spread), rounds: 7, runs: 1, first: 1, gpu: null };
}

/** By the clock of the GPU; what the wall clock says is noise. */
function gpuTiming(gpu: number, spread = 0.01): Timing {
  return { ...timing(3, 0.9), gpu, gpuQuartiles: middle(gpu, spread) };
}

/** Each race gives the next of these lists. */
function races(...results: Timing[][]): Race {
  return async (contestants) => {
    const timings = results.shift();
    if (timings?.length !== contestants.length) throw new Error('another number of contestants');
    return timings;
  };
}

const effort = { roundSeconds: 1, rounds: 7, least: 3, budgetSeconds: 1 };
/** Counts who is there. */
let [present, most] = [0, 0];

function among(ways: number, race: Race) {
  [present, most] = [0, 0];
  const nobody = { name: 'nobody', run: async () => {} };
  const open = async (): Promise<Contestant> => {
    most = Math.max(most, ++present);
    return { ...nobody, dispose: () => void present-- };
  };
  return choose({ ...nobody, dispose: () => {} }, Array(ways).fill(open), race, effort);
}

describe('a way wins', () => {
  it('when it is ahead by more than the margin twice', async () => {
    const twice = races(
      [1, 0.9, 0.5].map((t) => timing(t)),
      [timing(1), timing(0.8)],
    );
    expect(await among(2, twice)).toMatchObject({ winner: 1, gain: 1.25 });
    expect(present).toBe(0);
  });

  it('of several groups by its ratio to the pinned one in the same race, with few there at once', async () => {
    // In the second race the machine is at half its speed.
    const groups = races(
      [1, 0.9, 0.8, 2, 2].map((t) => timing(t)),
      [2, 2.2, 1, 1.8, 4].map((t) => timing(t)),
      [1, 0.6].map((t) => timing(t)),
      [timing(1), timing(0.5)],
    );
    expect(await among(2 * GROUP + 1, groups)).toEqual({
      winner: 5,
      gain: 2,
      pinned: 1,
      seconds: [0.9, 0.8, 2, 2, 1.1, 0.5, 0.9, 2, 0.6],
    });
    expect([present, most]).toEqual([0, GROUP + 1]);
  });

  it('by the spread of its GPU times where there are any', async () => {
    const clear = races([gpuTiming(1), gpuTiming(0.5)], [gpuTiming(1), gpuTiming(0.5)]);
    expect(await among(1, clear)).toMatchObject({ winner: 0, gain: 2 });
    const noisy = races([gpuTiming(1), gpuTiming(0.5)], [gpuTiming(1, 0.5), gpuTiming(0.7, 0.5)]);
    expect(await among(1, noisy)).toMatchObject({ winner: null });
  });

  it('never when a race breaks off, which leaves nobody behind', async () => {
    const broken: Race = () => Promise.reject(new Error('stopped'));
    await expect(among(3, broken)).rejects.toThrow('stopped');
    expect([present, most]).toEqual([0, 3]);
  });

  it.each<[string, Race]>([
    ['by less', races([timing(1), timing(0.96)])],
    ['once only', races([timing(1), timing(0.5)], [timing(1), timing(0.97)])],
    ['within the noise', races([timing(1), timing(0.5)], [timing(1, 0.2), timing(0.8, 0.2)])],
    [
      'in too few rounds',
      races([timing(1), timing(0.5)], [timing(1), { ...timing(0.5), rounds: 2 }]),
    ],
    ['in no way', races([timing(1), timing(2)])],
  ])('and not when ahead %s', async (_, race) => {
    expect(await among(1, race)).toMatchObject({ winner: null, gain: 1 });
  });
});

const PINNED = TUNINGS.cpu.elementwise.vecs;
const OTHER = PINNED / 4;
const WRONG = PINNED / 2;

/** Doubles numbers, or does something else where `vecs` is WRONG. */
function doubling(name: string, values: readonly number[]): Knob {
  return knob<number>({
    name,
    read: (t) => t.elementwise.vecs,
    write: (t, vecs) => ({ ...t, elementwise: { ...t.elementwise, vecs } }),
    values: () => values,
    prepare(device) {
      const x = Tensor.from(device, [1, 2, 3]);
      const wrong = device.tuning.elementwise.vecs === WRONG;
      return { run: () => affine(x, wrong ? 3 : 2, 0), dispose: () => x.dispose() };
    },
  });
}

function copying(): Knob {
  return knob<number>({
    name: 'copying',
    read: (t) => t.copy.elements,
    write: (t, elements) => ({ ...t, copy: { ...t.copy, elements } }),
    values: () => [2],
    prepare(device) {
      const x = Tensor.from(device, [1]);
      return { run: () => affine(x, 1, 0), dispose: () => x.dispose() };
    },
  });
}

function setUp(knobs: readonly Knob[], ...times: Timing[][]) {
  const files: StoredTuning[] = [];
  const lines: string[] = [];
  const options: TuneOptions = {
    knobs,
    race: races(...times),
    load: async () => (files.length > 0 ? JSON.stringify(files.at(-1)) : null),
    save: async (content) => void files.push(structuredClone(content)),
    say: (line) => void lines.push(line),
  };
  return { files, lines, options };
}

const WON = [
  [timing(1), timing(0.5)],
  [timing(1), timing(0.5)],
];

describe('tune', () => {
  it('stores the winner after each choice, with all times', async () => {
    const { files, lines, options } = setUp([doubling('doubling', [OTHER]), copying()], ...WON, [
      timing(1),
      timing(1),
    ]);
    const found = await tune({ tuning: 'cpu' }, options);
    expect(files.map(({ choices }) => choices.length)).toEqual([1, 2]);
    expect(found.tuning).toMatchObject({ elementwise: { vecs: OTHER }, copy: TUNINGS.cpu.copy });
    expect(found.choices[0]).toMatchObject({
      knob: 'doubling',
      value: OTHER,
      pinned: PINNED,
      gain: 2,
      candidates: [
        { value: PINNED, seconds: 1 },
        { value: OTHER, seconds: 0.5 },
      ],
    });
    expect(lines).toEqual([
      expect.stringMatching(/^doubling: \d+, 2.00 times as fast \(2 ways, first runs up to/),
      expect.stringMatching(/^copying: as pinned \(2 ways/),
    ]);
  });

  it('takes no way that computes something else, however fast', async () => {
    const { options } = setUp([doubling('doubling', [WRONG])], [timing(1)]);
    const { tuning, choices } = await tune({}, options);
    expect(tuning.elementwise).toEqual(TUNINGS.cpu.elementwise);
    expect(choices[0]!.candidates[1]).toMatchObject({
      value: WRONG,
      seconds: null,
      problem: 'element 0 is 3, not 2',
    });
  });

  it('goes on where it was interrupted', async () => {
    const stopped = new Error('stopped');
    const all = [doubling('doubling', [OTHER]), copying()];
    const { files, lines, options } = setUp(all, ...WON);
    const race: Race = async (contestants, e) => {
      if (files.length === 1) throw stopped;
      return options.race(contestants, e);
    };
    await expect(tune({}, { ...options, race })).rejects.toBe(stopped);
    const { tuning } = await tune({}, { ...options, race: races([timing(1), timing(1)]) });
    expect(tuning.elementwise.vecs).toBe(OTHER);
    expect(lines[1]).toMatch(/^doubling: \d+, 2.00 times as fast .*, as found before$/);
    // And once more from the beginning, when asked to.
    const again = {
      ...options,
      race: races([timing(1), timing(1)], [timing(1), timing(1)]),
      again: true,
    };
    expect((await tune({}, again)).tuning.elementwise.vecs).toBe(PINNED);
  });

  it('starts anew when what is stored does not fit', async () => {
    const { lines, options } = setUp([doubling('doubling', [OTHER])], ...WON);
    await tune({}, { ...options, load: async () => '{}' });
    expect(lines[0]).toMatch(/^what is stored is not used: it is no stored tuning/);
  });

  it('takes part of the choices by name, and says which there are', async () => {
    const { options } = setUp([doubling('doubling', [OTHER]), copying()], [timing(1), timing(1)]);
    const { choices } = await tune({}, { ...options, filter: 'copy' });
    expect(choices.map(({ knob }) => knob)).toEqual(['copying']);
    const none = tune({}, { ...options, filter: 'nothing' });
    await expectError(() => none, 'usage', /There are: doubling, copying/);
  });
});

describe('the choices', () => {
  it('have ways that every device can run, on every kind of adapter', () => {
    expect(new Set(knobs.map(({ name }) => name)).size).toBe(knobs.length);
    for (const pinned of Object.values(TUNINGS)) {
      for (const knob of knobs) {
        const ways = knob.alternatives(pinned);
        expect(ways.length, `${knob.name} of ${pinned.name}`).toBeGreaterThan(0);
        for (const way of ways) {
          expect(tuningProblems(way)).toEqual([]);
          expect(knob.copy(pinned, way)).toEqual(pinned);
          expect(knob.read(way)).not.toEqual(knob.read(pinned));
        }
      }
    }
  });
});
