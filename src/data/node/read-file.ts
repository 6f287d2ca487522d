/** Reading files with errors that say what to do. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { HistogradError } from '../../errors.ts';

/** A whole file's bytes. Throws as `readError`. */
export async function readBytes(path: string): Promise<Uint8Array> {
  return readFile(path).catch((cause) => {
    throw readError(path, cause);
  });
}

/** A whole file as UTF-8 text. Throws as `readError`. */
export async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause) => {
    throw readError(path, cause);
  });
}

/** The first `count` bytes of a file (fewer if it is shorter) and its size. Throws as `readError`. */
export async function readStart(
  path: string,
  count: number,
): Promise<{ bytes: Uint8Array; fileBytes: number }> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.min(count, size));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return { bytes: bytes.subarray(0, bytesRead), fileBytes: size };
  } catch (cause) {
    throw readError(path, cause);
  } finally {
    await file?.close();
  }
}

/** `no-file`, `not-folder`, `is-folder`, `not-readable` or `read-failed`, from what the file system threw. */
export function readError(path: string, cause: unknown): HistogradError {
  if (cause instanceof HistogradError) return cause;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const listed = cause instanceof Error && 'syscall' in cause && cause.syscall === 'scandir';
  if (code === 'ENOTDIR' && listed) {
    return new HistogradError(
      'not-folder',
      `${path} is a file, where a folder was expected.`,
      'Name the folder that holds the files.',
      { cause },
    );
  }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new HistogradError('no-file', `${path} does not exist.`, 'Correct the path.', { cause });
  }
  if (code === 'EISDIR') {
    return new HistogradError(
      'is-folder',
      `${path} is a folder, where a file was expected.`,
      'Name the file itself.',
      { cause },
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new HistogradError(
      'not-readable',
      `${path} cannot be read: permission denied.`,
      'Change its permissions, or run as a user who may read it.',
      { cause },
    );
  }
  return new HistogradError(
    'read-failed',
    `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
    'Check the path and the disk.',
    { cause },
  );
}
