/**
 * `npm run bench -- --tune`: finds the tuning of this adapter and driver. One choice after the other: its candidates are compared
 * with the pinned way, number by number, then timed in turns; the file is written after each, so that nothing is lost when it
 * is interrupted, and the next time it goes on from there.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HistogradError } from '../src/errors.ts';
import { defaultTuning, type TuningKey, tuningKey } from '../src/gpu/choose-tuning.ts';
import { Device, type DeviceOptions } from '../src/gpu/device.ts';
import type { Tuning } from '../src/gpu/tuning.ts';
import {
  parseTuning,
  type StoredTuning,
  type TuningChoice,
  tuningFileName,
  tuningPath,
  writeTuning,
} from '../src/gpu/tuning-store.ts';
import { keep, scope } from '../src/tensor/scope.ts';
import { type Contestant, type Effort, race } from './measure.ts';
import { choose, type Race } from './tuning/choose.ts';
import type { Knob, TuneWork } from './tuning/knob.ts';
import { knobs } from './tuning/knobs.ts';

const EFFORT: Effort = { roundSeconds: 0.03, rounds: 7, least: 3, budgetSeconds: 4 };

export interface TuneOptions {
  /** Only choices whose name contains this. */
  readonly filter?: string;
  /** Choices made before are made again. */
  readonly again?: boolean;
  readonly race: Race;
  /** What is stored for an adapter; null when nothing is. */
  load(key: TuningKey): Promise<string | null>;
  save(content: StoredTuning): Promise<void>;
  say(line: string): void;
  /** Without it all of `knobs.ts`; for tests. */
  readonly knobs?: readonly Knob[];
}

/**
 * Tunes, prints what it finds, and keeps it in the user's cache and, for the record, in `folder`.
 *
 * @param folder `kernels-bench/results/tunings`; null: keep nothing
 */
export async function tuneAdapter(
  request: DeviceOptions,
  { filter, again, folder }: { filter?: string; again?: boolean; folder: string | null },
): Promise<void> {
  const say = (text: string) => console.log(text);
  const { key, choices } = await tune(request, {
    ...(filter !== undefined && { filter }),
    ...(again !== undefined && { again }),
    race,
    load: (wanted) =>
      folder === null
        ? Promise.resolve(null)
        : readFile(tuningPath(wanted), 'utf8').catch(() => null),
    async save(content) {
      if (folder === null) return;
      await writeTuning(tuningPath(content.key), content);
      const { adapter, driver } = content.key;
      await writeTuning(join(folder, tuningFileName(`${adapter} ${driver}`)), content);
    },
    say,
  });
  const better = choices.filter(({ gain }) => gain > 1).length;
  say(`${better} of ${choices.length} choices are faster than pinned`);
  if (folder === null) return;
  say(`stored in ${tuningPath(key)}`);
  say('taken with HISTOGRAD_TUNING=stored; results may then differ in their last bits');
}

/** What came of a choice, for people. */
function line(knob: Knob, { value, gain, candidates }: TuningChoice): string {
  const fit = candidates.filter(({ problem }) => !problem);
  const first = Math.max(...fit.map((c) => c.first ?? 0));
  const slowest = `first runs up to ${first.toFixed(1)} s`;
  const outcome =
    gain > 1 ? `${JSON.stringify(value)}, ${gain.toFixed(2)} times as fast` : 'as pinned';
  const bad = candidates.filter(({ problem }) => problem).map(({ problem }) => problem);
  const refused = bad.length > 0 ? `; ${bad.length} out of the question: ${bad[0]}` : '';
  return `${knob.name}: ${outcome} (${fit.length} ways, ${slowest}${refused})`;
}

/**
 * @throws HistogradError `usage` when no choice has the filter in its name
 */
export async function tune(request: DeviceOptions, options: TuneOptions): Promise<StoredTuning> {
  const { say } = options;
  const all = options.knobs ?? knobs;
  const chosen = all.filter(({ name }) => name.includes(options.filter ?? ''));
  if (chosen.length === 0) {
    throw new HistogradError(
      'usage',
      `No choice has '${options.filter}' in its name.`,
      `There are: ${all.map(({ name }) => name).join(', ')}.`,
    );
  }
  const device = await Device.open(request);
  const { adapter } = device;
  device.close();
  const pinned = defaultTuning(adapter.adapter.info, adapter.class);
  const key = tuningKey(adapter);
  const before = await earlier(options, key);
  const choices = new Map(before?.choices.map((choice) => [choice.knob, choice]));
  let tuning: Tuning = { ...pinned, name: `${pinned.name} tuned` };
  // What was chosen before holds as long as the pinned way is the one that it was compared with.
  for (const knob of all) {
    const made = choices.get(knob.name);
    if (made && !same(made.pinned, knob.read(pinned))) choices.delete(knob.name);
    else if (made && before) tuning = knob.copy(before.tuning, tuning);
  }
  const content = (): StoredTuning => ({
    format: 'histograd-tuning-2',
    key,
    date: new Date().toISOString(),
    tuning,
    choices: [...choices.values()],
  });
  for (const knob of chosen) {
    const made = choices.get(knob.name);
    if (made && !options.again) {
      say(`${line(knob, made)}, as found before`);
      continue;
    }
    tuning = knob.copy(pinned, tuning);
    const trial = await tryKnob(knob, tuning, request, options.race);
    tuning = trial.tuning;
    choices.set(knob.name, trial.choice);
    await options.save(content());
    say(line(knob, trial.choice));
  }
  return content();
}

async function earlier({ load, say }: TuneOptions, key: TuningKey) {
  const text = await load(key);
  if (text === null) return null;
  const found = parseTuning(text, key);
  if (typeof found !== 'string') return found;
  say(`what is stored is not used: ${found}`);
  return null;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Tries the alternatives of a knob to `tuning`. */
async function tryKnob(
  knob: Knob,
  tuning: Tuning,
  request: DeviceOptions,
  compete: Race,
): Promise<{ tuning: Tuning; choice: TuningChoice }> {
  const ways = knob.alternatives(tuning);
  const pinned = await openPinned(knob, { ...request, tuning });
  try {
    const found: { first: number | null; problem?: string }[] = [];
    const open = ways.map((way, i) => async () => {
      const opened = await openWork(knob, { ...request, tuning: way }, pinned);
      const isWork = opened instanceof TunedWork;
      found[i] = isWork ? { first: opened.first } : { first: null, problem: opened };
      return isWork ? opened : null;
    });
    const { winner, gain, pinned: own, seconds } = await choose(pinned, open, compete, EFFORT);
    const best = winner === null ? tuning : ways[winner]!;
    const choice = {
      knob: knob.name,
      value: knob.read(best),
      pinned: knob.read(tuning),
      gain,
      candidates: [
        { value: knob.read(tuning), seconds: own, first: pinned.first },
        ...ways.map((way, i) => ({ value: knob.read(way), seconds: seconds[i]!, ...found[i]! })),
      ],
    };
    return { tuning: best, choice };
  } finally {
    pinned.dispose();
  }
}

async function openPinned(knob: Knob, request: DeviceOptions): Promise<TunedWork> {
  const work = new TunedWork(await Device.open(request), knob);
  await work.check().catch((error: unknown) => {
    work.dispose();
    throw error;
  });
  return work;
}

/** A way to do the work, or what is wrong with it: it must give the numbers that the pinned way (`like`) gives. */
async function openWork(
  knob: Knob,
  request: DeviceOptions,
  like: TunedWork,
): Promise<TunedWork | string> {
  const work = new TunedWork(await Device.open(request), knob, 'alternative');
  try {
    const problem = await work.check(like);
    if (problem === undefined) return work;
    work.dispose();
    return problem;
  } catch (error) {
    work.dispose();
    if (!(error instanceof HistogradError)) throw error;
    return error.message.split('\n')[0]!;
  }
}

/** Largest difference between two ways, of the largest number: sums are added in another order. */
const TOLERANCE = 1e-4;

class TunedWork implements Contestant {
  readonly name: string;
  /** None for the pinned way, with which all others are compared. */
  readonly field: string | undefined;
  /** Seconds of the first run, with compilation. */
  first = 0;
  values: Float32Array = new Float32Array();
  readonly #device: Device;
  readonly #work: TuneWork;

  constructor(device: Device, knob: Knob, field?: string) {
    this.name = knob.name;
    this.field = field;
    this.#device = device;
    this.#work = knob.prepare(device);
  }

  /** Runs it once; says what is wrong with the numbers. */
  async check(like?: TunedWork): Promise<string | undefined> {
    await this.#device.sync();
    const start = performance.now();
    const out = scope(() => keep(this.#work.run()));
    await this.#device.sync();
    this.first = (performance.now() - start) / 1000;
    const values = await out.floats();
    out.dispose();
    if (!like) {
      this.values = values;
      return undefined;
    }
    const expected = like.values;
    const largest = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const wrong = values.findIndex((v, i) => !(Math.abs(v - expected[i]!) <= TOLERANCE * largest));
    if (values.length !== expected.length) return `${values.length} numbers`;
    return wrong < 0 ? undefined : `element ${wrong} is ${values[wrong]}, not ${expected[wrong]}`;
  }

  async run(times: number): Promise<void> {
    this.#repeat(times);
    await this.#device.sync();
  }

  gpuTime(times: number): Promise<number | null> {
    return this.#device.time(() => this.#repeat(times));
  }

  dispose(): void {
    this.#work.dispose();
    this.#device.close();
  }

  #repeat(times: number): void {
    for (let i = 0; i < times; i++) scope(() => void this.#work.run());
  }
}
