import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

/**
 * Leaves alone what a build would only write again as it is. `npm run histograd` builds first, and a command that has
 * been training for hours reads parts of itself late: it must find them while another one starts beside it. Files of
 * earlier sources stay for the same reason (parts are named by their content); `npm run build` starts afresh.
 */
export function keepUnchanged(): Plugin {
  return {
    name: 'keep-unchanged',
    generateBundle: {
      order: 'post',
      handler({ dir }, bundle) {
        if (dir === undefined) return;
        for (const [name, file] of Object.entries(bundle)) {
          const path = join(dir, name);
          const built = Buffer.from(file.type === 'chunk' ? file.code : file.source);
          if (existsSync(path) && readFileSync(path).equals(built)) delete bundle[name];
        }
      },
    },
  };
}
