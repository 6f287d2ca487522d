import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { create } from 'webgpu';
import { chooseAdapter } from '../../src/gpu/adapter.ts';
import type { Diagnosis } from '../../src/gpu/doctor.ts';
import { embeddedDriver } from '../../src/gpu/embedded-driver.ts';

const CHILD = fileURLToPath(new URL('./adapter-child.mjs', import.meta.url));
const PACKAGE = dirname(
  dirname(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'))),
);
/** The embedded driver is a Linux x64 library. */
const EMBEDDABLE = process.platform === 'linux' && process.arch === 'x64';
const NO_DRIVER = { VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' };

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'histograd-adapter-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** Diagnoses each request in one fresh process whose cache is empty at the start. */
async function inChild(requests: string[], env: NodeJS.ProcessEnv = {}): Promise<Diagnosis[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, ...requests], {
    env: { ...process.env, HISTOGRAD_ADAPTER: '', XDG_CACHE_HOME: folder, ...env },
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe.runIf(EMBEDDABLE)('chooseAdapter in a fresh process', () => {
  it('falls through to the embedded driver where the system has none', async () => {
    const [auto, hardware] = await inChild(['auto', 'hardware'], NO_DRIVER);
    expect(auto).toMatchObject({
      ok: true,
      adapter: {
        kind: 'embedded-software',
        class: 'cpu',
        name: expect.stringContaining('SwiftShader'),
      },
      tried: [
        { what: 'drivers on this system', result: 'no adapter with VK_DRIVER_FILES=/nonexistent' },
        { what: 'system drivers through the bundled loader' },
        { what: 'embedded SwiftShader', result: expect.stringMatching(/^found SwiftShader/) },
      ],
    });
    expect(hardware).toMatchObject({ ok: false, adapter: null });
    expect(readdirSync(join(folder, 'histograd'))).toEqual(['swiftshader-147.0.0']);
  });

  it('uses SwiftShader beside a system driver, and the system driver after it', async () => {
    const [swiftshader, auto] = await inChild(['default', 'auto'], {
      HISTOGRAD_ADAPTER: 'swiftshader',
    });
    expect(swiftshader).toMatchObject({
      ok: true,
      adapter: { kind: 'embedded-software', why: 'HISTOGRAD_ADAPTER=swiftshader asks for it' },
    });
    expect(auto).toMatchObject({ ok: true, request: 'auto' });
  });

  it('lets processes race to unpack', async () => {
    const all = await Promise.all([1, 2, 3].map(() => inChild(['swiftshader'])));
    expect(all.flat().map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(readdirSync(join(folder, 'histograd'))).toEqual(['swiftshader-147.0.0']);
  });
});

describe('chooseAdapter', () => {
  it('refuses hardware that is none, and a null backend, and lists both', async () => {
    const key = Symbol.for('histograd.webgpu.instances');
    const before: unknown = Reflect.get(globalThis, key);
    const nothing = create(['backend=null']);
    Reflect.set(globalThis, Symbol('kept reachable'), nothing);
    Reflect.set(
      globalThis,
      key,
      new Map([
        ['system', nothing],
        ['loader', nothing],
      ]),
    );
    try {
      await expect(chooseAdapter('hardware')).rejects.toMatchObject({
        code: 'no-adapter',
        message: expect.stringContaining('refused: a null backend'),
        advice: expect.stringContaining('VK_DRIVER_FILES'),
      });
    } finally {
      Reflect.set(globalThis, key, before);
    }
  });

  it('names the variable when HISTOGRAD_ADAPTER is wrong', async () => {
    vi.stubEnv('HISTOGRAD_ADAPTER', 'vulkan');
    await expect(chooseAdapter()).rejects.toMatchObject({
      code: 'bad-adapter-request',
      message: expect.stringContaining("'vulkan' in HISTOGRAD_ADAPTER"),
    });
  });

  it('leaves the Vulkan variables as they were', async () => {
    const before = process.env.VK_DRIVER_FILES;
    await chooseAdapter(EMBEDDABLE ? 'swiftshader' : 'auto');
    expect(process.env.VK_DRIVER_FILES).toBe(before);
  });
});

describe('embeddedDriver', () => {
  beforeEach(() => void vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache')));

  function packageWith(archive: Uint8Array): string {
    mkdirSync(join(folder, 'package/bin'), { recursive: true });
    copyFileSync(join(PACKAGE, 'package.json'), join(folder, 'package/package.json'));
    writeFileSync(join(folder, 'package/bin/swiftshader.tar.br'), archive);
    return join(folder, 'package');
  }

  it('unpacks once, and repairs a folder that lost a file', () => {
    const first = embeddedDriver();
    expect(first.folder).toBe(join(folder, 'cache/histograd/swiftshader-147.0.0'));
    unlinkSync(first.icd);
    expect(embeddedDriver()).toEqual(first);
    expect(existsSync(first.icd)).toBe(true);
  });

  it('goes to the temporary folder when the cache cannot be written', () => {
    writeFileSync(join(folder, 'cache'), 'a file where a folder should be');
    vi.stubEnv('TMPDIR', folder);
    expect(embeddedDriver().folder).toMatch(/histograd-\d+\/swiftshader-147\.0\.0$/);
  });

  it('refuses a damaged archive by name', () => {
    const damaged = packageWith(new Uint8Array(100).fill(7));
    expect(() => embeddedDriver(damaged)).toThrow(/swiftshader\.tar\.br .* is damaged .*reinstall/);
  });

  it('says when neither folder can be written', () => {
    writeFileSync(join(folder, 'cache'), '');
    vi.stubEnv('TMPDIR', join(folder, 'cache'));
    expect(() => embeddedDriver()).toThrow(/could not be unpacked: .*; /);
  });
});
