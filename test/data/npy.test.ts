import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseNpy, parseNpyHeader } from '../../src/data/npy.ts';
import { expectError } from './expect-error.ts';

const fixture = (name: string) => readFileSync(new URL(`./fixtures/${name}`, import.meta.url));

/** A version 1.0 file with that header and those value bytes. */
function npy(header: string, data: ArrayBufferView | number = 0, version = 1): Uint8Array {
  const body =
    typeof data === 'number'
      ? new Uint8Array(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const text = new TextEncoder().encode(`${header}\n`);
  const start = version === 1 ? 10 : 12;
  const out = new Uint8Array(start + text.length + body.length);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  new DataView(out.buffer).setUint16(8, text.length, true);
  out.set(text, start);
  out.set(body, start + text.length);
  return out;
}
const header = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

describe('parseNpy', () => {
  it.each([
    ['<f4', Float32Array.of(1.5, -2)],
    ['<f8', Float64Array.of(1.5, -2)],
    ['|i1', Int8Array.of(-1, 2)],
    ['|u1', Uint8Array.of(1, 255)],
    ['|b1', Uint8Array.of(0, 1)],
    ['<i2', Int16Array.of(-300, 2)],
    ['<u2', Uint16Array.of(300, 65535)],
    ['<i4', Int32Array.of(-70000, 2)],
    ['<u4', Uint32Array.of(2 ** 31, 2)],
    ['<i8', BigInt64Array.of(-5n, 2n)],
    ['<u8', BigUint64Array.of(5n, 2n ** 63n)],
  ])('reads %s', (descr, data) => {
    // Version 2 puts the values at an offset that is not a multiple of 4 as well.
    for (const version of [1, 2]) {
      expect(parseNpy(npy(header(descr, '(2,)'), data, version), 'a')).toEqual({
        shape: [2],
        data,
      });
    }
  });

  it('widens halves, swaps big-endian values, reads scalars and empty arrays', () => {
    expect([
      ...parseNpy(npy(header('<f2', '(2,)'), Uint16Array.of(0x3c00, 0xc000)), 'a').data,
    ]).toEqual([1, -2]);
    const big = Uint8Array.of(0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0);
    expect([...parseNpy(npy(header('>f4', '(2,)'), big), 'a').data]).toEqual([1, -2]);
    expect(parseNpy(npy(header('<f4', '()'), 4), 'a').shape).toEqual([]);
    expect(parseNpy(npy(header('<f4', '(0, 7)')), 'a').shape).toEqual([0, 7]);
  });

  it('brings Fortran order into C order', () => {
    const data = Float32Array.of(0, 3, 1, 4, 2, 5);
    expect([...parseNpy(npy(header('<f4', '(2, 3)', 'True'), data), 'a').data]).toEqual([
      0, 1, 2, 3, 4, 5,
    ]);
    const cube = Float32Array.from({ length: 8 }, (_, i) => i);
    expect([...parseNpy(npy(header('<f4', '(2, 2, 2)', 'True'), cube), 'a').data]).toEqual([
      0, 4, 2, 6, 1, 5, 3, 7,
    ]);
  });

  it('reads files that NumPy wrote', () => {
    const expected = Array.from({ length: 15 }, (_, i) => i / 4 - 1);
    for (const name of ['fortran_f8.npy', 'half.npy']) {
      const { shape, data } = parseNpy(fixture(name), name);
      expect(shape).toEqual([5, 3]);
      expect([...data]).toEqual(expected);
    }
  });

  it('refuses pickled objects, structures and strings', async () => {
    await expectError(
      () => parseNpy(fixture('objects.npy'), 'o.npy'),
      'unsupported-dtype',
      /o\.npy: arrays of dtype object .*pickle/,
    );
    const structured = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
    for (const text of [structured, header('<U3', '(1,)'), header('<c8', '(1,)')]) {
      await expectError(() => parseNpy(npy(text, 8), 'a'), 'unsupported-dtype', /not read/);
    }
  });

  it('refuses files that are cut short or have bytes left over', async () => {
    const whole = npy(header('<f4', '(2, 2)'), 16);
    const refuses = (bytes: Uint8Array, text: RegExp) =>
      expectError(() => parseNpy(bytes, 'cut.npy'), 'bad-npy', text);
    await refuses(whole.subarray(0, whole.length - 1), /\(2, 2\) of <f4 takes 16 bytes.*holds 15/);
    await refuses(npy(header('<f4', '(2, 2)'), 17), /holds 17/);
    await refuses(whole.subarray(0, 30), /claims \d+ bytes, the file has 30/);
    await refuses(whole.subarray(0, 5), /does not begin/);
    await refuses(new Uint8Array(100), /does not begin/);
  });

  it('refuses headers that make no sense', async () => {
    const refuses = (bytes: Uint8Array, text: RegExp) =>
      expectError(() => parseNpy(bytes, 'a'), 'bad-npy', text);
    await refuses(npy('{}'), /cannot be understood/);
    await refuses(npy(header('<f4', '(-1,)')), /cannot be understood/);
    await refuses(npy(header('<f4', '(99999999999999999999,)')), /impossible/);
    await refuses(npy(header('<f4', '(4294967296, 4294967296)')), /holds 0/);
    await refuses(npy(header('<f4', '(1,)'), 4, 9), /version 9/);
  });
});

describe('parseNpyHeader', () => {
  it('needs only the start of the file', () => {
    const whole = npy(header('<f4', '(100, 4)'), 1600);
    expect(parseNpyHeader(whole.subarray(0, 200), whole.length, 'a').shape).toEqual([100, 4]);
  });
});
