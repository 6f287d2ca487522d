/**
 * Vite plugin: `import code from '../../shaders/softmax.wgsl'` gives the linked WGSL text.
 *
 * Kernels may start with WESL imports (`import package::shared::row_reduce::row_sum;`); they are
 * linked here, at build time, so that what ships is plain WGSL and no linker.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';
import { link } from 'wesl/core';

const SHADERS = fileURLToPath(new URL('./shaders', import.meta.url));

function readShaders(): Record<string, string> {
  const sources: Record<string, string> = {};
  for (const entry of readdirSync(SHADERS, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.wgsl')) continue;
    const path = join(entry.parentPath, entry.name);
    sources[moduleFile(path)] = readFileSync(path, 'utf8');
  }
  return sources;
}

/** WESL module names are identifiers, our files are kebab-case: `layer-norm.wgsl` is `layer_norm`. */
function moduleFile(path: string): string {
  return `./${relative(SHADERS, path)
    .replace(/\.wgsl$/, '')
    .replaceAll('-', '_')}.wesl`;
}

export function wgsl(): Plugin {
  return {
    name: 'histograd-wgsl',
    enforce: 'pre',
    async load(id) {
      const file = id.split('?')[0]!;
      if (!file.endsWith('.wgsl')) return null;
      this.addWatchFile(file);
      const root = moduleFile(file).slice(2, -'.wesl'.length).replaceAll('/', '::');
      const linked = await link({ weslSrc: readShaders(), rootModuleName: root });
      return { code: `export default ${JSON.stringify(linked.dest)};`, map: null };
    },
  };
}
