import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { checkedBytes, crc32, type ZipEntry, zipEntries } from '../../src/data/zip-stored.ts';

const text = (entry: ZipEntry | undefined) => new TextDecoder().decode(entry?.bytes);
const encode = (value: string) => new TextEncoder().encode(value);
const stored = () => zipSync({ 'a/é': encode('first'), b: encode('second') }, { level: 0 });

/** One entry `x` = "hello" whose sizes and offsets stand in zip64 fields, as for archives beyond 4 GiB. */
function zip64(): Uint8Array {
  const out = new Uint8Array(36 + 75 + 56 + 20 + 22);
  const view = new DataView(out.buffer);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  view.setUint32(0, 0x04034b50, true);
  view.setUint16(26, 1, true);
  out.set(encode('xhello'), 30);
  const directory = 36;
  view.setUint32(directory, 0x02014b50, true);
  view.setUint32(directory + 20, 0xffffffff, true);
  view.setUint32(directory + 24, 0xffffffff, true);
  view.setUint16(directory + 28, 1, true);
  view.setUint16(directory + 30, 28, true);
  view.setUint32(directory + 42, 0xffffffff, true);
  out.set(encode('x'), directory + 46);
  view.setUint16(directory + 47, 1, true);
  view.setUint16(directory + 49, 24, true);
  u64(directory + 51, 5);
  u64(directory + 59, 5);
  u64(directory + 67, 0);
  const end64 = directory + 75;
  view.setUint32(end64, 0x06064b50, true);
  u64(end64 + 32, 1);
  u64(end64 + 48, directory);
  const locator = end64 + 56;
  view.setUint32(locator, 0x07064b50, true);
  u64(locator + 8, end64);
  view.setUint32(locator + 20, 0x06054b50, true);
  view.setUint16(locator + 30, 0xffff, true);
  view.setUint32(locator + 36, 0xffffffff, true);
  return out;
}

describe('zipEntries', () => {
  it('lists stored entries as views, also behind a comment', () => {
    const bytes = stored();
    const entries = zipEntries(bytes);
    expect([...entries.keys()]).toEqual(['a/é', 'b']);
    expect([...entries.values()].map(text)).toEqual(['first', 'second']);
    expect(entries.get('b')?.bytes.buffer).toBe(bytes.buffer);

    const commented = new Uint8Array(bytes.length + 70);
    commented.set(bytes);
    commented[bytes.length - 2] = 70;
    expect(zipEntries(commented).size).toBe(2);
  });

  it('reads zip64', () => {
    expect(text(zipEntries(zip64()).get('x'))).toBe('hello');
  });

  it('refuses compressed and repeated entries', () => {
    const deflated = zipSync({ a: new Uint8Array(1000) }, { level: 9 });
    expect(() => zipEntries(deflated)).toThrow(/entry a is compressed/);
    const twice = zipSync({ a: encode('1'), b: encode('2') }, { level: 0 });
    const at = twice.lastIndexOf('b'.charCodeAt(0));
    twice[at] = 'a'.charCodeAt(0);
    expect(() => zipEntries(twice)).toThrow(/entry a twice/);
  });

  it('refuses entries that share bytes, and paths that leave the archive', () => {
    const shared = stored();
    const view = new DataView(shared.buffer);
    // The directory's entry of b is the last one: it ends, with its name, where the 22 bytes of the end record begin.
    const second = shared.length - 22 - 'b'.length - 46;
    expect(view.getUint32(second, true)).toBe(0x02014b50);
    view.setUint32(second + 42, 0, true);
    expect(() => zipEntries(shared)).toThrow(/overlaps another part/);
    for (const path of ['../a', '/etc/x', 'a/../../b', 'C:x', '..\\a', 'a\0b']) {
      const bytes = zipSync({ [path]: encode('1') }, { level: 0 });
      expect(() => zipEntries(bytes), path).toThrow(/leaves the archive/);
    }
    expect(zipEntries(zipSync({ 'a/..b/c..': encode('1') }, { level: 0 })).size).toBe(1);
  });

  it('finds damaged bytes by their checksum', () => {
    const bytes = stored();
    const entry = zipEntries(bytes).get('b')!;
    expect(checkedBytes(entry, 'b')).toBe(entry.bytes);
    entry.bytes[2]! ^= 1;
    expect(() => checkedBytes(entry, 'b')).toThrow(/entry b is damaged \(checksum/);
    expect(crc32(encode('123456789'))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array(0))).toBe(0);
  });

  it('refuses directories that are missing or point outside', () => {
    expect(() => zipEntries(new Uint8Array(0))).toThrow(/missing/);
    expect(() => zipEntries(new Uint8Array(100_000))).toThrow(/missing/);
    const bytes = stored();
    expect(() => zipEntries(bytes.subarray(0, bytes.length - 1))).toThrow(/missing/);
    const end = bytes.length - 22;
    // A count that is too high runs into the end record; an offset may point anywhere.
    bytes[end + 10] = 0xff;
    expect(() => zipEntries(bytes)).toThrow(/damaged/);
    bytes.fill(0xff, end + 16, end + 20);
    expect(() => zipEntries(bytes)).toThrow();
    const far = zip64();
    far.fill(0xff, 36 + 75 + 48, 36 + 75 + 56);
    expect(() => zipEntries(far)).toThrow(/outside the file/);
    const cut = zip64();
    cut[36 + 51] = 205;
    cut[36 + 59] = 205;
    expect(() => zipEntries(cut)).toThrow(/entry x is cut short/);
  });
});
