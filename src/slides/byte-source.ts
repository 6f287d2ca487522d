/** Ranges of a file's bytes, wherever the file lies: readers of slides never hold the whole of it. */
import { damagedSlide } from './slide-errors.ts';

export interface ByteSource {
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`; the caller has checked that they lie in the file. */
  readRange(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void> | void;
}

/**
 * `length` bytes from `offset`.
 *
 * @throws HistogradError `slide-damaged` when they do not lie in the file
 */
export async function readBytes(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0;
  if (!inside || length < 0 || offset + length > source.size) {
    throw damagedSlide(
      source.name,
      `${what} should lie at bytes ${offset} to ${offset + length}, but the file has ${source.size} bytes`,
    );
  }
  return source.readRange(offset, length);
}

/** A `File`, `Blob` or bytes already in memory. */
export function memorySource(data: Blob | Uint8Array, name: string): ByteSource {
  if (data instanceof Uint8Array) {
    return {
      name,
      size: data.length,
      readRange: async (offset, length) => data.slice(offset, offset + length),
      close() {},
    };
  }
  return {
    name,
    size: data.size,
    async readRange(offset, length) {
      const bytes = new Uint8Array(await data.slice(offset, offset + length).arrayBuffer());
      if (bytes.length !== length) throw damagedSlide(name, 'the file became shorter while open');
      return bytes;
    },
    close() {},
  };
}
