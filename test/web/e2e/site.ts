/** The app as it is given to users: built, and served from a folder of a host that knows nothing of it. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FOLDER = '/people/somebody/histograd/';
const BUILD_MILLISECONDS = 240_000;
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

export interface Site {
  /** Ends in a slash. */
  readonly url: string;
  /** Compressed bytes of what was asked for since the last call, by its path in the folder. */
  takeLoads(): Map<string, number>;
}

let opened: Promise<Site> | undefined;

/** Built once for all test files: they share a process. */
export function openSite(): Promise<Site> {
  opened ??= open();
  return opened;
}

async function open(): Promise<Site> {
  const files = await buildSite();
  let loads = new Map<string, number>();
  const server = createServer(({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://host');
    const name = pathname.startsWith(FOLDER) ? pathname.slice(FOLDER.length) : '../';
    const path = name === '' ? 'index.html' : name;
    const content = files.get(path);
    if (content) {
      loads.set(path, gzipSync(content).byteLength);
      response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream');
    } else response.statusCode = 404;
    response.end(content);
  });
  // Nobody waits for it to end.
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}${FOLDER}`,
    takeLoads() {
      const taken = loads;
      loads = new Map();
      return taken;
    },
  };
}

/** `npm run build:web`; in its own process, since Vite builds for what NODE_ENV says. */
async function buildSite(): Promise<Map<string, Buffer>> {
  const folder = await mkdtemp(join(tmpdir(), 'histograd-site-'));
  try {
    const { NODE_ENV: _, VITEST: __, ...env } = process.env;
    const vite = join(ROOT, 'node_modules/vite/bin/vite.js');
    const options = ['build', '--mode', 'web', '--outDir', folder, '--logLevel', 'warn'];
    await promisify(execFile)(process.execPath, [vite, ...options], {
      ...{ cwd: ROOT, env, timeout: BUILD_MILLISECONDS },
    });
    const files = new Map<string, Buffer>();
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      files.set(relative(folder, path), await readFile(path));
    }
    return files;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
