/** Writing a file so that readers see the old content or the new one, never a part of it. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HistogradError } from '../../errors.ts';
import { temporaryName } from './temporary-files.ts';

/** The file operations used; a test passes its own to see what a full disk does. */
export interface AtomicWriteFs {
  open(path: string, flags: string): Promise<Pick<FileHandle, 'writeFile' | 'sync' | 'close'>>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: boolean }): Promise<void>;
}

/**
 * Writes `data` (a large text piece by piece) to `path`: to a temporary name in the same folder, flushed to the disk, then renamed. If anything
 * fails, the temporary file is removed and a file that was at `path` is left as it was.
 *
 * @throws HistogradError `disk-full`, `not-writable` (no permission, or a read-only file system), `no-folder` (the
 *   folder does not exist), or `write-failed` for anything else.
 */
export async function writeFileAtomic(
  path: string,
  data: Uint8Array | string | Iterable<string> | AsyncIterable<string>,
  fs: AtomicWriteFs = { open, rename, rm },
): Promise<void> {
  const temporary = await temporaryName(path);
  try {
    // 'wx': never follow or overwrite something that already has the temporary name.
    const file = await fs.open(temporary, 'wx');
    try {
      // Each call goes on where the one before ended.
      const pieces = typeof data === 'string' || data instanceof Uint8Array ? [data] : data;
      for await (const piece of pieces) await file.writeFile(piece);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(path, cause);
  }
}

/** Makes renames in a folder survive a power cut, where the system can open folders. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

/** Turns a file-system error met while writing to `path` into one that says what to do; others come back as they are. */
export function writeError(path: string, cause: unknown): HistogradError {
  if (cause instanceof HistogradError) return cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const folder = dirname(path);
  const options = { cause };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new HistogradError(
        'disk-full',
        `Cannot write ${path}: ${code === 'ENOSPC' ? 'the disk is full' : 'your disk quota is used up'}.`,
        `Free some space on the disk that holds ${folder}, or write to another one. The file was not changed.`,
        options,
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new HistogradError(
        'not-writable',
        `Cannot write ${path}: ${code === 'EROFS' ? 'the file system is read-only' : 'permission denied'}.`,
        `Choose a folder you may write to, or change the permissions of ${folder}.`,
        options,
      );
    case 'EEXIST':
    case 'ENOTDIR':
      return new HistogradError(
        'no-folder',
        `Cannot write ${path}: ${code === 'EEXIST' ? 'it' : 'a part of that path'} is a file, where a folder was expected.`,
        'Choose another path, or move that file.',
        options,
      );
    case 'ENOENT':
      return new HistogradError(
        'no-folder',
        `Cannot write ${path}: the folder ${folder} does not exist.`,
        'Create the folder first, or correct the path.',
        options,
      );
    default:
      return new HistogradError(
        'write-failed',
        `Cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
        'Check the path and the disk, then try again. The file was not changed.',
        options,
      );
  }
}
