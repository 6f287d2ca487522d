/** A build beside a running command leaves it the files that it has yet to read. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { keepUnchanged } from '../../vite-keep-unchanged.ts';

let folder = '';
const path = (...names: string[]) => join(folder, ...names);
const makeBuild = () =>
  build({
    configFile: false,
    logLevel: 'error',
    plugins: [keepUnchanged()],
    build: {
      outDir: path('out'),
      emptyOutDir: false,
      ssr: true,
      sourcemap: true,
      rollupOptions: {
        input: { one: path('one.js'), two: path('two.js') },
        output: { entryFileNames: '[name].js' },
      },
    },
  });
const timesWritten = async () => {
  const names = await readdir(path('out'));
  const stats = await Promise.all(names.map((name) => stat(path('out', name), { bigint: true })));
  return Object.fromEntries(names.map((name, i) => [name, stats[i]!.mtimeNs]));
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-keep-'));
  await writeFile(path('one.js'), 'export const one = 1;\n');
  await writeFile(path('two.js'), 'export const two = 2;\n');
  await makeBuild();
});
afterAll(() => rm(folder, { recursive: true }));

it('writes nothing when nothing changed, and else what changed', async () => {
  const first = await timesWritten();
  expect(Object.keys(first).sort()).toEqual(['one.js', 'one.js.map', 'two.js', 'two.js.map']);
  await makeBuild();
  expect(await timesWritten()).toEqual(first);

  await writeFile(path('two.js'), 'export const two = 22;\n');
  await makeBuild();
  const { 'two.js': two, 'two.js.map': twoMap, ...others } = await timesWritten();
  expect(others).toEqual({ 'one.js': first['one.js'], 'one.js.map': first['one.js.map'] });
  expect([two, twoMap]).not.toEqual([first['two.js'], first['two.js.map']]);
  expect(await readFile(path('out', 'two.js'), 'utf8')).toContain('22');
});
