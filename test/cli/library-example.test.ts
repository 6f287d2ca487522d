/** The README's library example is the committed program, and it trains. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

it('stands in the README as it is in examples/', async () => {
  const readme = await readFile(path('README.md'), 'utf8');
  const shown = /```js\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(shown?.length).toBeGreaterThan(500);
  expect(await readFile(path('examples/library.mjs'), 'utf8')).toContain(shown);
});

it('brings its loss down', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [path('examples/library.mjs')]);
  const losses = [...stdout.matchAll(/loss ([\d.]+)/g)].map((match) => Number(match[1]));
  expect(losses).toHaveLength(6);
  expect(losses.at(-1)).toBeLessThan(0.2 * losses[0]!);
});
