/** No operation and no layer without its proofs, no kernel that nothing runs, no kernel without its contract. */
import { describe, expect, it } from 'vitest';
import { Module } from '../../src/nn/module.ts';
import { opNames } from '../../src/ops/op.ts';
import { listGoldens } from '../reference/goldens.ts';
import { exportedOps, layerModules, opProofs, readAll } from './inventory.ts';

const tests = [...readAll('test', '.test.ts').values()];
/** Named in a proof: compositions of operations, and goldens that are spelt differently. */
const named = (name: string) => tests.some((text) => text.includes(`: '${name}'`));

describe('every operation', () => {
  const ops = exportedOps();
  const proofs = opProofs();
  const proven = new Set(ops.filter(({ key }) => proofs.has(key)).map(({ name }) => name));

  it('is exported, and proven in test/ops (where a missing golden fails the proof)', () => {
    expect(ops.length).toBeGreaterThan(25);
    expect(opNames().filter((name) => !proven.has(name))).toEqual([]);
  });

  it('whose golden there is, is compared with it', () => {
    const others = listGoldens('ops').filter((name) => !proven.has(name) && name !== 'random');
    expect(others.filter((name) => !named(name))).toEqual([]);
  });
});

describe('every layer', () => {
  const layers = Object.values(layerModules).flatMap((module) =>
    Object.values(module).filter(
      (value): value is typeof Module =>
        typeof value === 'function' && value.prototype instanceof Module,
    ),
  );

  it('is compared with PyTorch', () => {
    expect(layers.length).toBeGreaterThan(2);
    const proven = (name: string) =>
      tests.some((text) =>
        new RegExp(`proveLayer(?:<[^(]*>)?\\(\\{\\s*layer: ${name}\\b`).test(text),
      );
    const missing = layers.map(({ name }) => name).filter((name) => !proven(name));
    // Random: proven through its operation, dropout, and in test/nn/module.test.ts.
    expect(missing.filter((name) => name !== 'Dropout')).toEqual([]);
  });

  it('whose golden there is, is compared with it', () => {
    const names = new Set(layers.map(({ name }) => name));
    expect(listGoldens('layers').filter((name) => !names.has(name) && !named(name))).toEqual([]);
  });
});

describe('every kernel', () => {
  const shaders = readAll('shaders', '.wgsl');
  const sources = new Map(
    ['src', 'kernels-bench'].flatMap((folder) => [...readAll(folder, '.ts')]),
  );

  it('opens with its contract', () => {
    expect(shaders.size).toBeGreaterThan(15);
    const bare = [...shaders].filter(([, text]) => !/^\/\/ \S/.test(text));
    expect(bare.map(([name]) => name)).toEqual([]);
  });

  it('is run by something in src/ or kernels-bench/, entry point by entry point', () => {
    const unreached: string[] = [];
    for (const [name, text] of shaders) {
      // Whoever imports it, linked with conditions or not, or the table of its forms.
      const imports = [...sources].filter(([, source]) => source.includes(`shaders/${name}`));
      const users = [...sources.values()].filter((source) =>
        imports.some(
          ([file, own]) => source === own || source.includes(`/${file.split('/').at(-1)}'`),
        ),
      );
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
