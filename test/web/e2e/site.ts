/** The app as it is given to users: built, and served from a folder of a host that knows nothing of it. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
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
  readonly origin: string;
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
  const folder = await mkdtemp(join(tmpdir(), 'histograd-site-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await build(folder);
  let loads = new Map<string, number>();
  const server = createServer(async ({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://host');
    const name = pathname.startsWith(FOLDER) ? pathname.slice(FOLDER.length) : '../';
    const path = normalize(join(folder, name === '' ? 'index.html' : name));
    try {
      if (!path.startsWith(folder)) throw new Error('outside');
      const content = await readFile(path);
      loads.set(name, gzipSync(content).byteLength);
      response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream');
      response.end(content);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  // Nobody waits for it to end.
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  return {
    url: origin + FOLDER,
    origin,
    takeLoads() {
      const taken = loads;
      loads = new Map();
      return taken;
    },
  };
}

/** `npm run build:web` into `folder`; in its own process, since Vite builds for what NODE_ENV says. */
async function build(folder: string): Promise<void> {
  const { NODE_ENV: _, VITEST: __, ...env } = process.env;
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js');
  const options = ['build', '--mode', 'web', '--outDir', folder, '--logLevel', 'warn'];
  await promisify(execFile)(process.execPath, [vite, ...options], {
    ...{ cwd: ROOT, env, timeout: BUILD_MILLISECONDS },
  });
}
