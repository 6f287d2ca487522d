/** Bytes and text of dropped files: by ranges, unpacked where they are gzipped, within limits. */
import { HistogradError } from '../../errors.ts';

/** A dropped file with the path inside its folder, for messages. */
export interface NamedFile {
  readonly path: string;
  readonly file: Blob;
}

/** Tables take many times their text in memory. */
const MAX_TEXT_BYTES = 256 * 2 ** 20;

/** Bytes from `from` to `to` (or the end, if that comes first). Throws `not-readable`. */
export async function readRange(
  { path, file }: NamedFile,
  from: number,
  to: number,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.slice(from, to).arrayBuffer());
  } catch (cause) {
    throw notReadable(path, cause);
  }
}

/**
 * A whole file.
 *
 * @throws HistogradError `too-large`, `not-readable`
 */
export async function readWhole(
  source: NamedFile,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { path, file } = source;
  if (file.size > maxBytes) throw tooLarge(path, file.size, maxBytes);
  return readRange(source, 0, file.size);
}

/** Told by the content. */
export async function isGzip(source: NamedFile): Promise<boolean> {
  const [first, second] = await readRange(source, 0, 2);
  return first === 0x1f && second === 0x8b;
}

/**
 * A file's bytes piece by piece, unpacked if they are gzipped.
 *
 * @throws HistogradError `bad-gzip`, `not-readable`
 */
export async function* unpackedBytes(source: NamedFile): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const packed = await isGzip(source);
  const stream = source.file.stream();
  const reader = (
    packed ? stream.pipeThrough(new DecompressionStream('gzip')) : stream
  ).getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        ended = true;
        // Those of reading are DOMExceptions; the others are the decoder's.
        if (!packed || cause instanceof DOMException) throw notReadable(source.path, cause);
        throw badGzip(source.path, cause);
      });
      ended ||= done;
      if (value === undefined) return;
      yield value;
    }
  } finally {
    if (!ended) await reader.cancel().catch(() => {});
  }
}

/**
 * A whole text file, unpacked. Throws `too-large`, `bad-gzip`, `not-readable`.
 */
export async function readText(source: NamedFile, maxBytes = MAX_TEXT_BYTES): Promise<string> {
  return new TextDecoder().decode(await readUnpacked(source, maxBytes));
}

/** As `readText`, as bytes. */
export async function readUnpacked(
  source: NamedFile,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const piece of unpackedBytes(source)) {
    length += piece.length;
    if (length > maxBytes) throw tooLarge(source.path, length, maxBytes);
    pieces.push(piece);
  }
  return joined(pieces, length);
}

/** The first bytes of a file, unpacked; `whole` where these are all. Throws `bad-gzip`, `not-readable`. */
export async function readHead(
  source: NamedFile,
  bytes: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; whole: boolean }> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const piece of unpackedBytes(source)) {
    pieces.push(piece);
    length += piece.length;
    if (length > bytes) return { bytes: joined(pieces, length).subarray(0, bytes), whole: false };
  }
  return { bytes: joined(pieces, length), whole: true };
}

/** The name without its folders. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The folder of a path, '' at the top. */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The name without folders and endings (`.gz` is one of its own). */
export function stem(path: string): string {
  return baseName(path)
    .replace(/\.gz$/i, '')
    .replace(/\.[^.]+$/, '');
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function badGzip(path: string, cause: unknown): HistogradError {
  return new HistogradError(
    'bad-gzip',
    `${path} cannot be uncompressed: it is damaged, cut short, or has something after its end.`,
    'Copy or download the file again, or unpack it before you drop it.',
    { cause },
  );
}

function notReadable(path: string, cause: unknown): HistogradError {
  const reason = cause instanceof Error ? ` (${cause.name})` : '';
  return new HistogradError(
    'not-readable',
    `${path} cannot be read${reason}: it was moved, changed or deleted after it was chosen, or the browser may not read it.`,
    'Choose or drop the files again.',
    { cause },
  );
}

function tooLarge(path: string, found: number, allowed: number): HistogradError {
  const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return new HistogradError(
    'too-large',
    `${path} has ${mebibytes(found)} or more, expected at most ${mebibytes(allowed)}.`,
    'Check that it is the right file; the command line (histograd in Node) takes larger ones.',
  );
}
