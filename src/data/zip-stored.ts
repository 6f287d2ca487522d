/**
 * The entries of a zip archive whose files are stored plainly, as torch writes them: views, nothing is copied.
 *
 * Source: APPNOTE.TXT 6.3.10 (PKWARE), zip64 included. Written here because the general readers copy every entry,
 * trust the sizes it claims, and (fflate 0.8) loop for ever on a damaged entry count. A compressed entry is refused,
 * which leaves no room for zip bombs.
 */

const END = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL = 0x04034b50;
const ZIP64_EXTRA = 1;

/** A file of the archive. */
export interface ZipEntry {
  /** A view on the archive; see `checkedBytes`. */
  readonly bytes: Uint8Array;
  readonly crc: number;
}

/**
 * The archive's entries by path.
 *
 * @throws Error (or RangeError) with a reason when the directory is missing, damaged or points outside the file, an
 *   entry is compressed or encrypted, two share bytes, or a path leaves the archive; the caller names the file
 */
export function zipEntries(bytes: Uint8Array): Map<string, ZipEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { count, start } = findDirectory(view);
  const entries = new Map<string, ZipEntry>();
  const ranges: { path: string; from: number; to: number }[] = [];
  let at = start;
  // A damaged count ends with the file: every entry takes at least ENTRY_BYTES.
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error('its zip directory is damaged');
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const nameStart = at + ENTRY_BYTES;
    const path = new TextDecoder().decode(bytes.subarray(nameStart, nameStart + nameBytes));
    const label = path.slice(0, 100);
    const { stored, size, local } = sizes(view, at, nameStart + nameBytes, extraBytes);
    const encrypted = (view.getUint16(at + 8, true) & 1) !== 0;
    if (encrypted || view.getUint16(at + 10, true) !== 0 || stored !== size) {
      throw new Error(`its entry ${label} is compressed or encrypted; torch stores plainly`);
    }
    // Nothing is ever unpacked; but a file with such a path is none that torch wrote.
    if (/^[/\\]|^[a-z]:|(^|[/\\])\.\.([/\\]|$)|\0/i.test(path)) {
      throw new Error(`its entry ${JSON.stringify(label)} has a path that leaves the archive`);
    }
    if (view.getUint32(local, true) !== LOCAL) throw new Error(`its entry ${label} is damaged`);
    const dataStart =
      local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (dataStart + size > bytes.length) throw new Error(`its entry ${label} is cut short`);
    if (entries.has(path)) throw new Error(`it has the entry ${label} twice`);
    entries.set(path, {
      bytes: bytes.subarray(dataStart, dataStart + size),
      crc: view.getUint32(at + 16, true),
    });
    ranges.push({ path: label, from: local, to: dataStart + size });
    at = nameStart + nameBytes + extraBytes + view.getUint16(at + 32, true);
  }
  checkRanges(ranges, start);
  return entries;
}

/** Entries lie one behind the other, before the directory. Sharing is how a small archive pretends to be a large one. */
function checkRanges(
  ranges: { path: string; from: number; to: number }[],
  directory: number,
): void {
  ranges.sort((a, b) => a.from - b.from);
  let end = 0;
  for (const { path, from, to } of ranges) {
    if (from < end || to > directory) throw new Error(`its entry ${path} overlaps another part`);
    end = to;
  }
}

/** An entry's bytes, after a look at their checksum. Throws Error when it is wrong. */
export function checkedBytes({ bytes, crc }: ZipEntry, path: string): Uint8Array {
  const found = crc32(bytes);
  if (found !== crc) {
    const hex = (value: number) => value.toString(16).padStart(8, '0');
    throw new Error(
      `its entry ${path.slice(0, 100)} is damaged (checksum ${hex(crc)}, the bytes give ${hex(found)})`,
    );
  }
  return bytes;
}

/** CRC tables for four bytes at a time ("slicing by 4"), which is three times as fast as one by one. */
const CRC_TABLES = crcTables();

function crcTables(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    return value;
  });
  const tables = [first];
  for (let i = 1; i < 4; i++) {
    const last = tables[i - 1]!;
    tables.push(last.map((value) => (value >>> 8) ^ first[value & 255]!));
  }
  return tables;
}

/** The CRC-32 of zip (and of PNG and gzip). */
export function crc32(bytes: Uint8Array): number {
  const [t0, t1, t2, t3] = CRC_TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let crc = 0xffffffff;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      t3[crc & 255]! ^ t2[(crc >>> 8) & 255]! ^ t1[(crc >>> 16) & 255]! ^ t0[(crc >>> 24) & 255]!;
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]!) & 255]!;
  return (crc ^ 0xffffffff) >>> 0;
}

function findDirectory(view: DataView): { count: number; start: number } {
  const last = view.byteLength - END_BYTES;
  let end = last;
  while (end >= 0 && end >= last - MAX_COMMENT_BYTES && view.getUint32(end, true) !== END) end--;
  if (end < 0 || end < last - MAX_COMMENT_BYTES) throw new Error('its zip directory is missing');

  const count = view.getUint16(end + 10, true);
  const start = view.getUint32(end + 16, true);
  const locator = end - 20;
  if (locator >= 0 && view.getUint32(locator, true) === END64_LOCATOR) {
    const end64 = uint64(view, locator + 8);
    if (view.getUint32(end64, true) !== END64) throw new Error('its zip64 directory is damaged');
    return { count: uint64(view, end64 + 32), start: uint64(view, end64 + 48) };
  }
  return { count, start };
}

/** An entry's sizes and the offset of its local header; those that do not fit 32 bits lie in an extra field. */
function sizes(view: DataView, at: number, extraStart: number, extraBytes: number) {
  const wide = 0xffffffff;
  let size = view.getUint32(at + 24, true);
  let stored = view.getUint32(at + 20, true);
  let local = view.getUint32(at + 42, true);
  for (let field = extraStart; field + 4 <= extraStart + extraBytes; ) {
    let value = field + 4;
    field = value + view.getUint16(field + 2, true);
    if (view.getUint16(value - 4, true) !== ZIP64_EXTRA) continue;
    const next = () => {
      value += 8;
      return uint64(view, value - 8);
    };
    if (size === wide) size = next();
    if (stored === wide) stored = next();
    if (local === wide) local = next();
  }
  return { size, stored, local };
}

function uint64(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (value > view.byteLength) throw new Error('its zip directory points outside the file');
  return value;
}
