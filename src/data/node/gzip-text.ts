/** Text files that may be gzipped, in bounded memory. */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip, gunzip } from 'node:zlib';
import { HistogradError } from '../../errors.ts';
import { readBytes, readError } from './read-file.ts';

/** Lists of names are far smaller; more is a bomb. */
const MAX_TEXT_BYTES = 256 * 2 ** 20;
/** Tables take many times their text in memory, in the worst case a cell for each byte. */
export const MAX_TABLE_BYTES = 64 * 2 ** 20;

/** A whole file as text, uncompressed if it ends in .gz. Throws `no-file`, `not-readable`, `bad-gzip`, `too-large`. */
export async function readGzipText(path: string, maxBytes = MAX_TEXT_BYTES): Promise<string> {
  let bytes = await readBytes(path);
  if (path.endsWith('.gz')) {
    bytes = await promisify(gunzip)(bytes, { maxOutputLength: maxBytes }).catch((cause) => {
      throw gzipError(path, cause, maxBytes);
    });
  }
  if (bytes.length > maxBytes) throw tooLarge(path, maxBytes);
  return new TextDecoder().decode(bytes);
}

/** Gives a file's bytes to `push` piece by piece, uncompressed if it ends in .gz. Errors as `readGzipText`. */
export async function streamGzip(path: string, push: (bytes: Uint8Array) => void): Promise<void> {
  const source = createReadStream(path);
  const consume = async (chunks: AsyncIterable<Uint8Array>) => {
    for await (const chunk of chunks) push(chunk);
  };
  try {
    if (path.endsWith('.gz')) await pipeline(source, createGunzip(), consume);
    else await pipeline(source, consume);
  } catch (cause) {
    throw gzipError(path, cause);
  }
}

function gzipError(path: string, cause: unknown, maxBytes = MAX_TEXT_BYTES): HistogradError {
  if (cause instanceof HistogradError) return cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(path, maxBytes);
  if (!code.startsWith('Z_')) return readError(path, cause);
  return new HistogradError(
    'bad-gzip',
    `${path} cannot be uncompressed: ${cause instanceof Error ? cause.message : code}.`,
    'The file is damaged, cut short or not gzipped: copy or download it again.',
    { cause },
  );
}

function tooLarge(path: string, maxBytes: number): HistogradError {
  return new HistogradError(
    'too-large',
    `${path} holds more than ${maxBytes} bytes of text, far more than a table of spots needs.`,
    'Check that it is the right file.',
  );
}
