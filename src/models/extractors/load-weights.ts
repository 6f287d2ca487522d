/** Published weights into a network: which names are whose, and what was left over. */
import { type Checkpoint, type CheckpointTensor, parseCheckpoint } from '../../data/checkpoint.ts';
import { HistogradError } from '../../errors.ts';
import type { Module } from '../../nn/module.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Preprocessing } from './extractor.ts';
import {
  EXTRACTOR_NAMES,
  EXTRACTORS,
  type ExtractorDefinition,
  inferExtractor,
} from './registry.ts';
import type { Shapes } from './state.ts';

/** A network that weights are published for: an extractor, or DexiNed. */
type Published = Module & { readonly preprocessing: Preprocessing };

export interface LoadOptions {
  /** Refuse a file that lacks some of the network's values, or has others that are not known to be unneeded (true). */
  readonly strict?: boolean;
  /**
   * What training scripts put before the names. Taken off, several times where need be, when the names fit the
   * network better without; the first that fits best wins, so that a teacher comes before its student.
   */
  readonly prefixes?: readonly string[];
  /** The file's name, for messages, where bytes are given. */
  readonly name?: string;
}

/** What became of a file's tensors; by the file's names, but `missing` by the network's. */
export interface LoadReport {
  readonly loaded: readonly string[];
  /** Values of the network that the file does not have: they are as they were. */
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  /** Not needed: classification heads, counts of batches, what follows from the sizes, and all outside of `prefix`. */
  readonly ignored: readonly string[];
  /** What was taken off the names. */
  readonly prefix: string;
}

const PREFIXES = [
  'teacher.',
  'module.',
  'model.',
  'backbone.',
  'resnet.',
  'encoder.',
  'net.',
  'network.',
  'base_model.',
  'feature_extractor.',
  'encoder_q.',
  'visual.',
  'trunk.',
  '_orig_mod.',
  'student.',
];
const MAX_PREFIXES = 4;

const UNNEEDED =
  /(^|\.)(num_batches_tracked|relative_position_index|attn_mask)$|^(fc|head|heads|head_dist|classifier|last_linear|projection_head|projector|predictor)\./;

/** A tensor of the file under its own name, while names are tried on. */
interface Named extends CheckpointTensor {
  readonly key: string;
}
type State = ReadonlyMap<string, Named>;
interface Fit {
  readonly prefix: string;
  /** With the prefix taken off. */
  readonly stripped: State;
  /** Under the extractor's names. */
  readonly state: State;
  readonly score: number;
}

/**
 * Overwrites a network's parameters and buffers with published weights: safetensors (F32, F16, BF16) or what
 * torch.save wrote. Names of torchvision, timm and the original authors are understood (see `EXTRACTORS`). Either all
 * that fits is written, or, when this throws, nothing.
 *
 * @param source an opened file (`parseCheckpoint`, in Node `readCheckpoint`), or its bytes
 * @throws HistogradError `checkpoint-mismatch` when shapes differ, nothing fits, or (strict) values are missing or left
 *   over; and those of `parseCheckpoint`
 */
export function loadWeights(
  network: Published,
  source: Checkpoint | Uint8Array,
  options: LoadOptions = {},
): LoadReport {
  const { strict = true, prefixes = PREFIXES } = options;
  const checkpoint =
    source instanceof Uint8Array ? parseCheckpoint(source, options.name ?? 'the weights') : source;
  const { name } = checkpoint;
  const own = new Map<string, Tensor>([...network.namedParameters(), ...network.namedBuffers()]);
  const named = new Map<string, Named>();
  for (const [key, { shape, values }] of checkpoint.tensors) named.set(key, { key, shape, values });

  const { state, stripped, prefix, score } = bestFit(
    named,
    own,
    prefixes,
    definitionsOf(own, network),
  );
  if (score === 0) throw mismatch(name, nothingFits(checkpoint, own), adviceOf(checkpoint.tensors));
  const reshaped = [...own].flatMap(([key, { shape }]) => {
    const found = state.get(key);
    return !found || sameShape(found.shape, shape)
      ? []
      : [`${found.key}: expected ${listed(shape)} (${key}), found ${listed(found.shape)}`];
  });
  if (reshaped.length > 0) {
    const advice =
      'Make the network with the sizes of the weights, or use the weights of this one.';
    throw mismatch(name, `shapes differ: ${some(reshaped, '; ')}`, advice);
  }

  const missing = [...own.keys()].filter((key) => !state.has(key));
  const used = new Set([...state].filter(([key]) => own.has(key)).map(([, { key }]) => key));
  const renamed = new Set([...state.values()].map(({ key }) => key));
  const inside = new Map([...stripped].map(([key, tensor]) => [tensor.key, key]));
  const rest = [...named.keys()].filter((key) => !used.has(key));
  const unexpected = rest.filter(
    (key) => renamed.has(key) && !UNNEEDED.test(inside.get(key) ?? key),
  );
  const refused = new Set(unexpected);
  const ignored = rest.filter((key) => !refused.has(key));
  if (strict && missing.length + unexpected.length > 0) {
    const parts = [
      ...(missing.length > 0 ? [`missing: ${some(missing)}`] : []),
      ...(unexpected.length > 0 ? [`unexpected: ${some(unexpected)}`] : []),
    ];
    throw mismatch(
      name,
      parts.join('; '),
      'Check that these are the weights of this network; { strict: false } loads what fits and leaves the rest as it is.',
    );
  }

  // All is read, which may fail, before anything is overwritten.
  const values = [...own].flatMap(([key, tensor]) => {
    const found = state.get(key);
    return found ? [{ tensor, data: found.values() }] : [];
  });
  for (const { tensor, data } of values) tensor.assign(data);
  return { loaded: [...used], missing, unexpected, ignored, prefix };
}

/** The definitions of extractors whose names the network has, those with its preprocessing only where there are any. */
function definitionsOf(own: Shapes, { preprocessing }: Published): ExtractorDefinition[] {
  const matching = EXTRACTOR_NAMES.map((name) => EXTRACTORS[name]).filter(({ matches }) =>
    matches(own),
  );
  const wanted = JSON.stringify(preprocessing);
  const same = matching.filter((found) => JSON.stringify(found.preprocessing) === wanted);
  return same.length > 0 ? same : matching;
}

/** The names with every prefix, or row of prefixes, taken off that they have; the first of the best. */
function bestFit(
  named: State,
  own: Shapes,
  prefixes: readonly string[],
  definitions: readonly ExtractorDefinition[],
): Fit {
  // Without a definition, names count as they are.
  const renames = definitions.map(({ rename }) => rename);
  const trials = renames.length > 0 ? renames : [(state: State): State => state];
  const fitsOf = (stripped: State, prefix: string): Fit[] =>
    trials.map((rename) => {
      const state = rename(stripped);
      const score = [...own.keys()].filter((key) => state.has(key)).length;
      return { prefix, stripped, state, score };
    });
  let best: Fit | undefined;
  let level: { stripped: State; prefix: string }[] = [{ stripped: named, prefix: '' }];
  for (let depth = 0; depth <= MAX_PREFIXES && level.length > 0; depth++) {
    for (const { stripped, prefix } of level) {
      for (const fit of fitsOf(stripped, prefix)) {
        if (!best || fit.score > best.score) best = fit;
      }
    }
    level = level.flatMap(({ stripped, prefix }) =>
      prefixes.flatMap((next) => {
        const inner = withPrefix(stripped, next);
        return inner.size > 0 ? [{ stripped: inner, prefix: prefix + next }] : [];
      }),
    );
  }
  return best!;
}

function withPrefix(state: State, prefix: string): State {
  const inner = [...state].filter(([key]) => prefix !== '' && key.startsWith(prefix));
  return new Map(inner.map(([key, tensor]) => [key.slice(prefix.length), tensor]));
}

/** Equal but for axes of length 1 at the end: a 1x1 convolution serves as a linear layer. */
function sameShape(a: readonly number[], b: readonly number[]): boolean {
  const core = (shape: readonly number[]) => shape.join().replace(/(,1)+$/, '');
  return core(a) === core(b);
}

function nothingFits({ tensors }: Checkpoint, own: Shapes): string {
  const quoted = (keys: Iterable<string>) => some([...keys], ', ', 3);
  return `none of its ${tensors.size} names (${quoted(tensors.keys())}) is one of the network's (${quoted(own.keys())})`;
}

/** Which network the weights are of, if one of ours. */
function adviceOf(state: Shapes): string {
  try {
    return `These are the weights of ${inferExtractor(state)}: make that extractor for them.`;
  } catch {
    return 'Name what stands before the names of the weights with `prefixes`, or use the weights of this network.';
  }
}

function listed(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

function some(items: readonly string[], separator = ', ', count = 10): string {
  const shown = items.slice(0, count).map((item) => item.slice(0, 200));
  return `${shown.join(separator)}${items.length > count ? ` and ${items.length - count} more` : ''}`;
}

function mismatch(name: string, problem: string, advice: string): HistogradError {
  return new HistogradError(
    'checkpoint-mismatch',
    `${name} does not fit the network (${problem}).`,
    advice,
  );
}
