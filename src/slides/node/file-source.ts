import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { HistogradError } from '../../errors.ts';
import type { ByteSource } from '../byte-source.ts';
import { damagedSlide } from '../slide-errors.ts';

/**
 * A file on disk, open until `close`.
 *
 * @throws HistogradError `file-not-readable` when there is no such file, or it is not a plain one
 */
export async function fileSource(path: string): Promise<ByteSource> {
  const name = basename(path);
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw notReadable(path, cause instanceof Error ? cause.message : String(cause), cause);
  });
  const { size } = await file.stat().then(async (stat) => {
    if (stat.isFile()) return stat;
    await file.close();
    throw notReadable(path, 'it is not a file', undefined);
  });
  return {
    name,
    size,
    async readRange(offset, length) {
      const bytes = new Uint8Array(length);
      let got = 0;
      while (got < length) {
        const { bytesRead } = await file.read(bytes, got, length - got, offset + got);
        if (bytesRead === 0) throw damagedSlide(name, 'the file became shorter while open');
        got += bytesRead;
      }
      return bytes;
    },
    close: () => file.close(),
  };
}

function notReadable(path: string, problem: string, cause: unknown): HistogradError {
  return new HistogradError(
    'file-not-readable',
    `The slide ${path} cannot be opened: ${problem}.`,
    'Check the path and its permissions.',
    { cause },
  );
}
