/** No operation without its proofs, no kernel that nothing runs, no kernel without its contract. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Op, opNames } from '../../src/ops/op.ts';
import { listGoldens } from '../reference/goldens.ts';

const root = new URL('../../', import.meta.url);

/** Files below a folder of the project, by path from the folder. */
function readAll(folder: string, ending: string): Map<string, string> {
  const base = new URL(`${folder}/`, root);
  const names = readdirSync(base, { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => name.endsWith(ending))
      .map((name) => [name.replaceAll('\\', '/'), readFileSync(new URL(name, base), 'utf8')]),
  );
}

const modules = import.meta.glob<Record<string, unknown>>('../../src/ops/*.ts', { eager: true });

/** The operations that src/ops exports, by the name of the export. */
function exportedOps(): Map<string, string> {
  const isOp = (value: unknown): value is Op<unknown> =>
    typeof value === 'object' && value !== null && 'apply' in value && 'name' in value;
  const ops = new Map<string, string>();
  for (const module of Object.values(modules)) {
    for (const [key, value] of Object.entries(module)) if (isOp(value)) ops.set(key, value.name);
  }
  return ops;
}

describe('every operation', () => {
  const ops = exportedOps();
  const tests = [...readAll('test/ops', '.test.ts').values()];
  const proven = new Set<string | undefined>();
  for (const text of tests) {
    for (const [, op] of text.matchAll(/\bproveOp(?:<[^(]*>)?\(\{\s*op: (\w+)/g)) {
      proven.add(ops.get(op!));
    }
  }

  it('is exported, and proven in test/ops (where a missing golden fails the proof)', () => {
    expect(ops.size).toBeGreaterThan(25);
    expect(opNames().filter((name) => !proven.has(name))).toEqual([]);
  });

  it('whose golden there is, is compared with it', () => {
    const others = listGoldens('ops').filter((name) => !proven.has(name) && name !== 'random');
    // Named in a proof: compositions of operations, and goldens that are spelt differently.
    const used = (name: string) => tests.some((text) => text.includes(`: '${name}'`));
    expect(others.filter((name) => !used(name))).toEqual([]);
  });
});

describe('every kernel', () => {
  const shaders = readAll('shaders', '.wgsl');
  const sources = [...readAll('src', '.ts').values()];

  it('opens with its contract', () => {
    expect(shaders.size).toBeGreaterThan(15);
    const bare = [...shaders].filter(([, text]) => !/^\/\/ \S/.test(text));
    expect(bare.map(([name]) => name)).toEqual([]);
  });

  it('is run by something in src/, entry point by entry point', () => {
    const unreached: string[] = [];
    for (const [name, text] of shaders) {
      const users = sources.filter((source) => source.includes(`shaders/${name}'`));
      for (const [, entry] of text.matchAll(/@compute[^{};]*?\bfn\s+(\w+)/g)) {
        const runs = users.some((source) => source.includes(`'${entry}'`));
        if (!runs) unreached.push(`${name}: ${entry}`);
      }
    }
    expect(unreached).toEqual([]);
  });

  it('in shaders/shared is imported by another', () => {
    const used = (name: string) => {
      const module = name.replace(/\.wgsl$/, '').replaceAll('/', '::');
      return [...shaders.values()].some((text) => text.includes(`import package::${module}::`));
    };
    const shared = [...shaders.keys()].filter((name) => name.startsWith('shared/'));
    expect(shared.length).toBeGreaterThan(0);
    expect(shared.filter((name) => !used(name))).toEqual([]);
  });
});
