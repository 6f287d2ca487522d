/**
 * Vite plugin: `import code from '../../shaders/softmax.wgsl'` gives the linked WGSL text.
 *
 * Kernels may start with WESL imports (`import package::shared::row_reduce::row_sum;`); they are
 * linked here, at build time, so that what ships is plain WGSL and no linker.
 *
 * What WGSL cannot leave to an `override` (a type, a directive) is a condition, `@if(half) enable f16;`, and a query
 * switches it on: `import code from '../../shaders/unary.wgsl?half'`. Which ones there are stands in src/wgsl.d.ts.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';
import { link } from 'wesl/core';

const SHADERS = fileURLToPath(new URL('./shaders', import.meta.url));
/** Earlier versions of the kernels, for the benches. */
const LADDERS = fileURLToPath(new URL('./kernels-bench/ladders', import.meta.url));

/** WESL refuses names that it does not know: those of an extension pass through it as others, which no kernel uses. */
const STAND_INS: Readonly<Record<string, string>> = {
  subgroup_matrix_left: 'texture_depth_2d_array',
  subgroup_matrix_right: 'texture_depth_cube_array',
  subgroup_matrix_result: 'texture_multisampled_2d',
  subgroupMatrixLoad: 'quadSwapX',
  subgroupMatrixStore: 'quadSwapY',
  subgroupMatrixMultiplyAccumulate: 'quadSwapDiagonal',
  row_major: 'rgba16snorm',
  col_major: 'rgba16unorm',
};

const NAMES = Object.fromEntries(Object.entries(STAND_INS).map(([name, as]) => [as, name]));

function renamed(code: string, names: Readonly<Record<string, string>>): string {
  const known = new RegExp(`\\b(${Object.keys(names).join('|')})\\b`, 'g');
  return code.replace(known, (name) => names[name]!);
}

function readShaders(file: string): Record<string, string> {
  const sources: Record<string, string> = {};
  for (const entry of readdirSync(SHADERS, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.wgsl')) continue;
    const path = join(entry.parentPath, entry.name);
    sources[moduleFile(path)] = readShader(path);
  }
  sources[moduleFile(file)] = readShader(file);
  return sources;
}

function readShader(path: string): string {
  return renamed(readFileSync(path, 'utf8'), STAND_INS);
}

/** WESL module names are identifiers, our files are kebab-case: `layer-norm.wgsl` is `layer_norm`. */
function moduleFile(path: string): string {
  const name = path.startsWith(LADDERS)
    ? join('ladders', relative(LADDERS, path))
    : relative(SHADERS, path);
  return `./${name.replace(/\.wgsl$/, '').replaceAll('-', '_')}.wesl`;
}

export function wgsl(): Plugin {
  return {
    name: 'histograd-wgsl',
    enforce: 'pre',
    async load(id) {
      const [file, query] = id.split('?') as [string, string?];
      if (!file.endsWith('.wgsl')) return null;
      this.addWatchFile(file);
      const root = `package::${moduleFile(file).slice(2, -'.wesl'.length).replaceAll('/', '::')}`;
      // A condition that is not named is false; Vite adds words of its own to queries, which no `@if` asks for.
      const conditions = Object.fromEntries((query ?? '').split('&').map((word) => [word, true]));
      const weslSrc = readShaders(file);
      const linked = await link({ weslSrc, rootModuleName: root, conditions });
      const code = renamed(linked.dest, NAMES);
      return { code: `export default ${JSON.stringify(code)};`, map: null };
    },
  };
}
