/**
 * Tunings in files (Node): one for each adapter and driver in the user's cache folder, written by `npm run bench -- --tune`.
 * None is taken unasked: another tuning may change the last bits of results, and which one made them must not depend on what lies
 * in somebody's cache.
 */
import { mkdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../data/node/atomic-write.ts';
import { HistogradError } from '../errors.ts';
import type { RequestedTuning, TuningKey } from './choose-tuning.ts';
import { CONV_SHAPES, MATMUL_SHAPES, type Tuning, tuningProblems } from './tuning.ts';

const pair = z.tuple([z.number(), z.number()]);
const plan = z.discriminatedUnion('kernel', [
  z.object({ kernel: z.literal('tiled'), threads: pair, blocks: pair, slice: z.number() }),
  z.object({ kernel: z.literal('rows'), workgroup: z.number() }),
  z.object({ kernel: z.literal('subgroup') }),
  z.object({ kernel: z.literal('texels') }),
]);

const attention = z.discriminatedUnion('kernel', [
  z.object({ kernel: z.literal('tiled'), threads: pair, slice: z.number(), vecs: z.number() }),
  z.object({ kernel: z.literal('subgroup'), vecs: z.number() }),
  z.object({ kernel: z.literal('texels'), vecs: z.number() }),
]);

const tuning: z.ZodType<Tuning> = z.object({
  name: z.string(),
  class: z.enum(['cpu', 'gpu']),
  elementwise: z.object({ workgroup: z.number(), vecs: z.number() }),
  copy: z.object({ workgroup: z.number(), elements: z.number() }),
  thread: z.object({ workgroup: z.number() }),
  rows: z.object({
    group: z.number(),
    narrow: z.number(),
    middle: z.number(),
    wide: z.number(),
  }),
  lines: z.object({ group: z.number(), least: z.number(), most: z.number() }),
  matmul: z.record(z.enum(MATMUL_SHAPES), plan),
  conv: z.record(z.enum(CONV_SHAPES), plan),
  attention,
  enoughGroups: z.number(),
});

/** Seconds of one way to run a family of kernels at a shape. */
const candidate = z.object({
  value: z.unknown(),
  /** Median over the rounds; null where it failed. */
  seconds: z.number().nullable(),
  /** The first run, with compilation. */
  first: z.number().nullable(),
  /** Why it was out of the question. */
  problem: z.string().optional(),
});

const choice = z.object({
  /** Family and shape class: 'matmul.large'. */
  knob: z.string(),
  value: z.unknown(),
  /** The pinned value, and how many times as fast as that the chosen one is. */
  pinned: z.unknown(),
  gain: z.number(),
  candidates: z.array(candidate),
});

const stored = z.object({
  format: z.literal('histograd-tuning-2'),
  key: z.object({ adapter: z.string(), driver: z.string() }),
  date: z.string(),
  tuning,
  choices: z.array(choice),
});

export type TuningChoice = z.infer<typeof choice>;
export type StoredTuning = z.infer<typeof stored>;

/** Reads the text of a stored tuning; a string says why it is of no use for `key`. */
export function parseTuning(text: string, key: TuningKey): StoredTuning | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'it is no JSON';
  }
  const parsed = stored.safeParse(json);
  if (!parsed.success) return `it is no stored tuning: ${z.prettifyError(parsed.error)}`;
  const problems = tuningProblems(parsed.data.tuning);
  if (problems.length > 0) return problems.join('; ');
  for (const part of ['adapter', 'driver'] as const) {
    if (parsed.data.key[part] === key[part]) continue;
    return `it was made for the ${part} '${parsed.data.key[part]}', this one is '${key[part]}'`;
  }
  return parsed.data;
}

/** Where the tuning of an adapter and driver is kept. */
export function tuningPath({ adapter, driver }: TuningKey): string {
  const cache = process.env.XDG_CACHE_HOME || join(os.homedir(), '.cache');
  return join(cache, 'histograd', 'tunings', `${tuningFileName(`${adapter} ${driver}`)}`);
}

export function tuningFileName(words: string): string {
  return `${words.replaceAll(/[^\w.]+/g, '-').replaceAll(/^-|-$/g, '')}.json`;
}

/** Writes a tuning; its readers see all of it or nothing. */
export async function writeTuning(path: string, content: StoredTuning): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`);
}

/**
 * What a setting asks for: `stored` is the one in the cache, anything else a file.
 *
 * @throws HistogradError `bad-tuning` when that file cannot be read
 */
export async function readTuning(setting: string, key: TuningKey): Promise<RequestedTuning> {
  const path = setting === 'stored' ? tuningPath(key) : setting;
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    if (setting === 'stored') return null;
    throw new HistogradError(
      'bad-tuning',
      `HISTOGRAD_TUNING names ${path}, which cannot be read: ${cause.message}`,
      "Give a file of npm run bench -- --tune, or 'stored' for the last one made on this adapter.",
    );
  });
  if (text === null) {
    return { ignored: 'HISTOGRAD_TUNING asks for a stored one, and there is none yet' };
  }
  const found = parseTuning(text, key);
  if (typeof found === 'string') return { ignored: `${path} is ignored: ${found}` };
  return { tuning: found.tuning, from: path };
}
