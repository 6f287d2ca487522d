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

/**
 * The archive's entries by path.
 *
 * @throws Error (or RangeError) with a reason when the directory is missing, damaged or points outside the file, or an
 *   entry is compressed or encrypted; the caller names the file
 */
export function zipEntries(bytes: Uint8Array): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { count, start } = findDirectory(view);
  const entries = new Map<string, Uint8Array>();
  let at = start;
  // A damaged count ends with the file: every entry takes at least ENTRY_BYTES.
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error('its zip directory is damaged');
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const nameStart = at + ENTRY_BYTES;
    const path = new TextDecoder().decode(bytes.subarray(nameStart, nameStart + nameBytes));
    const { stored, size, local } = sizes(view, at, nameStart + nameBytes, extraBytes);
    const encrypted = (view.getUint16(at + 8, true) & 1) !== 0;
    if (encrypted || view.getUint16(at + 10, true) !== 0 || stored !== size) {
      throw new Error(`its entry ${path} is compressed or encrypted; torch stores plainly`);
    }
    if (view.getUint32(local, true) !== LOCAL) throw new Error(`its entry ${path} is damaged`);
    const dataStart =
      local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (dataStart + size > bytes.length) throw new Error(`its entry ${path} is cut short`);
    if (entries.has(path)) throw new Error(`it has the entry ${path} twice`);
    entries.set(path, bytes.subarray(dataStart, dataStart + size));
    at = nameStart + nameBytes + extraBytes + view.getUint16(at + 32, true);
  }
  return entries;
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
