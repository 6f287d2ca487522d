import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type AtomicWriteFs,
  writeError,
  writeFileAtomic,
} from '../../../src/data/node/atomic-write.ts';
import { expectError } from '../expect-error.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'histograd-atomic-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const failure = (code: string) => Object.assign(new Error(`${code}: injected`), { code });

/** The real file system, in which one operation fails. */
function failing(operation: 'open' | 'writeFile' | 'sync' | 'rename', code: string): AtomicWriteFs {
  const fail = () => Promise.reject(failure(code));
  return {
    async open(path, flags) {
      if (operation === 'open') return fail();
      const file = await open(path, flags);
      return {
        writeFile: operation === 'writeFile' ? fail : (data) => file.writeFile(data),
        sync: operation === 'sync' ? fail : () => file.sync(),
        close: () => file.close(),
      };
    },
    rename: operation === 'rename' ? fail : rename,
    rm,
  };
}

describe('writeFileAtomic', () => {
  it('writes bytes and text, replaces, and leaves nothing else behind', async () => {
    const path = join(folder, 'a.bin');
    await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    await writeFileAtomic(path, 'é');
    expect(readFileSync(path, 'utf8')).toBe('é');
    expect(readdirSync(folder)).toEqual(['a.bin']);
  });

  it('writes only the view of a larger buffer', async () => {
    const path = join(folder, 'view');
    await writeFileAtomic(path, new Uint8Array([9, 1, 2, 9]).subarray(1, 3));
    expect([...readFileSync(path)]).toEqual([1, 2]);
  });

  it.each([
    ['open', 'EACCES', 'not-writable', /permission denied/],
    ['writeFile', 'ENOSPC', 'disk-full', /disk is full/],
    ['sync', 'EDQUOT', 'disk-full', /quota/],
    ['rename', 'EROFS', 'not-writable', /read-only/],
    ['writeFile', 'EIO', 'write-failed', /EIO: injected/],
  ] as const)(
    'when %s fails with %s: %s, and the old file stays',
    async (operation, code, expected, text) => {
      const path = join(folder, 'a.txt');
      writeFileSync(path, 'old');
      await expectError(
        () => writeFileAtomic(path, 'new', failing(operation, code)),
        expected,
        text,
      );
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(folder)).toEqual(['a.txt']);
    },
  );

  it('says so when the folder does not exist, or is a file', async () => {
    expect(writeError('/x', failure('EEXIST')).message).toMatch(/x: it is a file, where a folder/);
    expect(writeError('/x', failure('ENOSPC')).message).toMatch(/The file was not changed/);
    await expectError(() => writeFileAtomic(join(folder, 'no/a'), ''), 'no-folder', /no does not/);
    writeFileSync(join(folder, 'file'), '');
    await expectError(
      () => writeFileAtomic(join(folder, 'file/a'), ''),
      'no-folder',
      /part .* is a file/,
    );
  });

  it('keeps an error that already says what to do', () => {
    const first = writeError('/x', failure('ENOSPC'));
    expect(writeError('/y', first)).toBe(first);
  });
});

/** A file system of 64 KiB of its own: the real thing, where the test may mount one. */
function mountSmallDisk(path: string): boolean {
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

describe('a disk that is really full', () => {
  it('is a clear error and leaves the old file', async (context) => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    if (!mountSmallDisk(disk)) return context.skip('needs the right to mount a tmpfs');
    try {
      const path = join(disk, 'a');
      await writeFileAtomic(path, 'old');
      await expectError(() => writeFileAtomic(path, new Uint8Array(2 ** 20)), 'disk-full', path);
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(disk)).toEqual(['a']);
    } finally {
      execFileSync('/bin/umount', [disk]);
    }
  });
});
