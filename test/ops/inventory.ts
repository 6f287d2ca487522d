/** What the sources say of operations, kernels and proofs: for the coverage test and docs/ops.md. Node only. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Op } from '../../src/ops/op.ts';

const root = new URL('../../', import.meta.url);

/** Files below a folder of the project, by path from the folder. */
export function readAll(folder: string, ending: string): Map<string, string> {
  const base = new URL(`${folder}/`, root);
  const names = readdirSync(base, { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => name.endsWith(ending))
      .map((name) => [name.replaceAll('\\', '/'), readFileSync(new URL(name, base), 'utf8')]),
  );
}

type Modules = Record<string, Record<string, unknown>>;

const opModules: Modules = import.meta.glob('../../src/ops/*.ts', { eager: true });
export const layerModules: Modules = import.meta.glob('../../src/nn/**/*.ts', { eager: true });

export interface ExportedOp {
  /** Name of the operation. */
  readonly name: string;
  /** Name of the export. */
  readonly key: string;
  /** File in src/ops. */
  readonly file: string;
}

/** The operations that src/ops exports. */
export function exportedOps(): ExportedOp[] {
  const isOp = (value: unknown): value is Op<unknown> =>
    typeof value === 'object' && value !== null && 'apply' in value && 'name' in value;
  return Object.entries(opModules).flatMap(([path, module]) =>
    Object.entries(module).flatMap(([key, value]) =>
      isOp(value) ? [{ name: value.name, key, file: path.slice(path.lastIndexOf('/') + 1) }] : [],
    ),
  );
}

export interface OpProof {
  /** File in test/ops. */
  readonly test: string;
  /** The text of the call of `proveOp`. */
  readonly call: string;
}

/** The calls of `proveOp` by the name of the export they prove. */
export function opProofs(): Map<string, OpProof> {
  const proofs = new Map<string, OpProof>();
  for (const [test, text] of readAll('test/ops', '.test.ts')) {
    for (const call of text.split(/\n(?=proveOp\b)/).slice(1)) {
      const key = /^proveOp(?:<[^(]*>)?\(\{\s*op: (\w+)/.exec(call)?.[1];
      const own = call.slice(0, call.search(/\n\}\);|\}\);\n/) + 4);
      if (key) proofs.set(key, { test, call: own });
    }
  }
  return proofs;
}

/** Kernel files that an operation's host file uses, itself or through its neighbours in src/ops and src/tensor. */
export function kernelsOf(file: string): string[] {
  const seen = new Set<string>();
  const kernels = new Set<string>();
  const visit = (url: URL) => {
    if (seen.has(url.pathname) || url.pathname.endsWith('/ops/op.ts')) return;
    seen.add(url.pathname);
    const text = readFileSync(url, 'utf8');
    for (const [, kernel] of text.matchAll(/shaders\/([\w/-]+\.wgsl)[?']/g)) kernels.add(kernel!);
    for (const [, next] of text.matchAll(/from '((?:\.|\.\.\/tensor|\.\.\/ops)\/[\w-]+\.ts)'/g)) {
      visit(new URL(next!, url));
    }
  };
  visit(new URL(`src/ops/${file}`, root));
  return [...kernels];
}
