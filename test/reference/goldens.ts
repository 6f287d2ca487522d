/// <reference types="vite/types/importMeta.d.ts" />
/**
 * Reads the PyTorch goldens beside this file, in Node and in the browser alike. Format: README.md.
 *
 * Vite inlines the files as data URLs, which `fetch` decodes in both places: no server paths, no `node:fs`.
 */
import { parseSafetensors, type Safetensor } from '../../src/data/safetensors.ts';

export type GoldenKind = 'ops' | 'layers' | 'parity' | 'extractors';

/** One sample of an op or a layer; every string is a key of `Golden.tensors`. */
interface GoldenCase {
  readonly name: string;
  /** In the op's argument order; an optional trailing input (a bias) may be missing. */
  readonly inputs: readonly string[];
  /** Under their JavaScript names, integer arguments (labels, rows, offsets, …) included. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly output: string;
  /** The cotangent of the output; null for ops without gradients. */
  readonly gradOutput: string | null;
  /** Vector-Jacobian products, one per input; null where there is none. */
  readonly grads: readonly (string | null)[];
  /** Layers only, from here on: whether the layer was in training mode. */
  readonly training?: boolean;
  /** State dict before the call, by its names. */
  readonly state?: Readonly<Record<string, string>>;
  /** Gradients of the parameters, by their names; those without a gradient are missing. */
  readonly stateGrads?: Readonly<Record<string, string>>;
  /** Buffers after the call, by their names. */
  readonly buffersAfter?: Readonly<Record<string, string>>;
}

export interface Golden {
  readonly metadata: Readonly<Record<string, string>>;
  /** The `cases` entry of the metadata, parsed; empty for parity files. */
  readonly cases: readonly GoldenCase[];
  /** A tensor by its key; throws, naming the file and the key, when there is none. */
  tensor(key: string): Safetensor;
  readonly tensors: ReadonlyMap<string, Safetensor>;
}

const FILES: Record<GoldenKind, Record<string, () => Promise<string>>> = {
  ops: import.meta.glob<string>('./ops/*.safetensors', { query: '?url&inline', import: 'default' }),
  layers: import.meta.glob<string>('./layers/*.safetensors', {
    query: '?url&inline',
    import: 'default',
  }),
  extractors: import.meta.glob<string>('./extractors/*.safetensors', {
    query: '?url&inline',
    import: 'default',
  }),
  parity: import.meta.glob<string>('./parity/*.safetensors', {
    query: '?url&inline',
    import: 'default',
  }),
};

/** The names of the stored goldens, sorted: for `ops`, the op names (and `random`). */
export function listGoldens(kind: GoldenKind): string[] {
  return Object.keys(FILES[kind])
    .map((path) => path.slice(path.lastIndexOf('/') + 1, -'.safetensors'.length))
    .sort();
}

/** Reads one golden. Throws, naming the ones there are, when it does not exist. */
export async function loadGolden(kind: GoldenKind, name: string): Promise<Golden> {
  const file = `./${kind}/${name}.safetensors`;
  const url = FILES[kind][file];
  if (!url) {
    throw new Error(
      `No golden ${file} in test/reference; there are: ${listGoldens(kind).join(', ')}. ` +
        'What to do: add its cases to golden_ops/ or golden_layers/ and run make_goldens.py.',
    );
  }
  const response = await fetch(await url());
  const bytes = new Uint8Array(await response.arrayBuffer());
  const { tensors, metadata } = parseSafetensors(bytes, file);
  const cases: GoldenCase[] = metadata.cases === undefined ? [] : JSON.parse(metadata.cases);
  return {
    metadata,
    cases,
    tensors,
    tensor(key) {
      const found = tensors.get(key);
      if (!found) throw new Error(`${file} has no tensor "${key}"`);
      return found;
    },
  };
}
