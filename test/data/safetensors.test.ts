import { describe, expect, it } from 'vitest';
import { parseSafetensors, serializeSafetensors } from '../../src/data/safetensors.ts';
import { parseSafetensorsHeader } from '../../src/data/safetensors-header.ts';
import { expectError } from './expect-error.ts';

/** A file from a header (object or raw text) and its data bytes. */
function file(header: object | string, data: Uint8Array | number = 0): Uint8Array {
  const text = new TextEncoder().encode(
    typeof header === 'string' ? header : JSON.stringify(header),
  );
  const body = typeof data === 'number' ? new Uint8Array(data) : data;
  const out = new Uint8Array(8 + text.length + body.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(body, 8 + text.length);
  return out;
}

const entry = (dtype: string, shape: unknown, begin: unknown, end: unknown) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe('round trip', () => {
  const tensors = {
    bytes: { shape: [3], data: Uint8Array.of(1, 2, 255) },
    weight: { shape: [2, 2], data: Float32Array.of(1.5, -2, Number.NaN, Number.NEGATIVE_INFINITY) },
    counter: { shape: [2], data: Uint32Array.of(0xffffffff, 7) },
    signed: { shape: [1], data: Int32Array.of(-5) },
    long: { shape: [], data: BigInt64Array.of(-(2n ** 62n)) },
    none: { shape: [0, 4], data: new Float32Array(0) },
  };
  const metadata = { epoch: '3', clé: 'é"\n' };

  it('keeps values, shapes, dtypes and metadata', () => {
    const read = parseSafetensors(serializeSafetensors(tensors, metadata), 'a');
    expect(read.metadata).toEqual(metadata);
    expect(read.tensors.size).toBe(6);
    for (const [name, { shape, data }] of Object.entries(tensors)) {
      expect(read.tensors.get(name)?.shape).toEqual(shape);
      expect(read.tensors.get(name)?.data).toEqual(data);
    }
    expect([...read.tensors.values()].map((tensor) => tensor.dtype).sort()).toEqual(
      ['F32', 'F32', 'I32', 'I64', 'U32', 'U8'], // prettier than a map
    );
  });

  it('gives the same bytes whatever order the tensors and metadata come in', () => {
    const reversed = new Map(Object.entries(tensors).reverse());
    const reversedMetadata = Object.fromEntries(Object.entries(metadata).reverse());
    expect(serializeSafetensors(reversed, reversedMetadata)).toEqual(
      serializeSafetensors(tensors, metadata),
    );
  });

  it('keeps integer-like and __proto__ names', () => {
    const odd = new Map(
      ['10', '9', '__proto__', 'a'].map((name) => [name, { shape: [1], data: Uint8Array.of(1) }]),
    );
    const read = parseSafetensors(serializeSafetensors(odd), 'a');
    expect([...read.tensors.keys()]).toEqual(expect.arrayContaining([...odd.keys()]));
    expect(read.tensors.size).toBe(4);
  });

  it('aligns the data to 8 bytes and each tensor to its element, without holes', () => {
    const bytes = serializeSafetensors(tensors);
    const { entries, dataStart } = parseSafetensorsHeader(bytes, bytes.length, 'a');
    expect(dataStart % 8).toBe(0);
    for (const { dtype, begin } of entries.values()) {
      expect(begin % (dtype === 'U8' ? 1 : dtype === 'I64' ? 8 : 4)).toBe(0);
    }
  });

  it('reads from bytes that lie at an odd offset', () => {
    const bytes = serializeSafetensors(tensors, metadata);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const read = parseSafetensors(shifted.subarray(1), 'a');
    expect(read.tensors.get('weight')?.data).toEqual(tensors.weight.data);
  });

  it('writes what the reference implementation writes', () => {
    // safetensors.numpy.save({"b": float32 [1], "a": uint8 [1]}, {"k": "v"}): wide dtypes first, then names, padded.
    const bytes = serializeSafetensors(
      { a: { shape: [1], data: Uint8Array.of(9) }, b: { shape: [1], data: Float32Array.of(1) } },
      { k: 'v' },
    );
    const text = new TextDecoder().decode(bytes.subarray(8, bytes.length - 5));
    expect(text.trimEnd()).toBe(
      '{"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
        '"a":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}',
    );
    expect(text.length % 8).toBe(0);
    expect([...bytes.subarray(-5)]).toEqual([0, 0, 0x80, 0x3f, 9]);
  });
});

describe('half formats', () => {
  const values = (bits: number[], dtype: string) => {
    const data = new Uint8Array(Uint16Array.from(bits).buffer);
    const bytes = file({ x: entry(dtype, [bits.length], 0, data.length) }, data);
    return [...(parseSafetensors(bytes, 'a').tensors.get('x')?.data ?? [])];
  };

  it('widens F16: normal, subnormal, infinity, NaN, negative zero', () => {
    expect(values([0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x7e00], 'F16')).toEqual(
      [1, -2, 65504, 2 ** -24, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
    );
  });

  it('widens BF16', () => {
    expect(values([0x3f80, 0xc049, 0x7f80, 0x7fc0], 'BF16')).toEqual([
      1,
      -3.140625,
      Number.POSITIVE_INFINITY,
      Number.NaN,
    ]);
  });
});

describe('hostile files', () => {
  const refuses = (bytes: Uint8Array, text: RegExp, code = 'bad-safetensors') =>
    expectError(() => parseSafetensors(bytes, 'evil.safetensors'), code, text);
  const f32 = entry('F32', [2], 0, 8);

  it('names the file', () => refuses(new Uint8Array(3), /evil\.safetensors.*found 3/));

  it('refuses a header length beyond the file, or beyond the limit', async () => {
    const long = file('{}');
    new DataView(long.buffer).setBigUint64(0, 3n, true);
    await refuses(long, /claims 3 bytes, but the file has only 10/);
    new DataView(long.buffer).setBigUint64(0, 2n ** 63n, true);
    await refuses(long, /claims 9223372036854775808 bytes; the format allows 100000000/);
  });

  it('refuses headers that are no JSON object', async () => {
    await refuses(file('{"x":'), /not JSON/);
    await refuses(file('[]'), /not a JSON object/);
    await refuses(file(' {}'), /not a JSON object/);
    await refuses(file('{"x": 3}'), /"x" is not a JSON object/);
    const latin1 = file('{"?":{}}');
    latin1[10] = 0xff;
    await refuses(latin1, /not JSON in UTF-8/);
  });

  it('refuses duplicate names, also when spelt differently', async () => {
    const body = JSON.stringify(f32);
    await refuses(file(`{"a":${body},"a":${body}}`, 8), /"a" twice/);
    await refuses(file(`{"a":${body},"\\u0061" :${body}}`, 8), /"a" twice/);
    const inner = '{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}';
    await refuses(file(`{"a":${inner}}`, 8), /"shape" twice/);
  });

  it('accepts equal names in different objects and names with quotes and braces', () => {
    const bytes = file({ 'a"}:{': f32, dtype: entry('F32', [0], 8, 8) }, 8);
    expect([...parseSafetensors(bytes, 'a').tensors.keys()]).toEqual(['a"}:{', 'dtype']);
  });

  it('refuses byte ranges out of range, overlapping, reversed, or with holes', async () => {
    await refuses(file({ a: f32 }, 4), /ends at byte 8, but there are only 4/);
    await refuses(file({ a: f32, b: entry('F32', [2], 4, 12) }, 12), /"b" overlaps/);
    await refuses(file({ a: entry('F32', [2], 8, 0) }, 8), /data_offsets/);
    await refuses(file({ a: entry('F32', [2], -8, 0) }, 8), /data_offsets/);
    await refuses(file({ a: entry('F32', [2], 0.5, 8.5) }, 9), /data_offsets/);
    await refuses(file({ a: { dtype: 'F32', shape: [2] } }, 8), /data_offsets/);
    await refuses(file({ a: entry('F32', [2], 4, 12) }, 12), /4 unused bytes before tensor "a"/);
    await refuses(file({ a: f32 }, 9), /1 unused bytes at the end/);
  });

  it('refuses shapes that do not match their bytes', async () => {
    await refuses(file({ a: entry('F32', [3], 0, 8) }, 8), /shape \[3\] takes 12 bytes.*give 8/);
    await refuses(file({ a: entry('F32', [-2], 0, 8) }, 8), /integers >= 0/);
    await refuses(file({ a: entry('F32', '2', 0, 8) }, 8), /integers >= 0/);
    // 2^32 * 2^32 * 4 wraps to 0 in 64-bit arithmetic.
    await refuses(file({ a: entry('F32', [2 ** 32, 2 ** 32], 0, 0) }), /give 0/);
  });

  it('refuses unknown dtypes and metadata that is not text', async () => {
    await refuses(
      file({ a: entry('F64', [1], 0, 8) }, 8),
      /"a" has dtype F64/,
      'unsupported-dtype',
    );
    await refuses(file({ a: entry('toString', [1], 0, 8) }, 8), /toString/, 'unsupported-dtype');
    await refuses(file({ a: { shape: [1], data_offsets: [0, 4] } }, 4), /no dtype/);
    await refuses(file({ __metadata__: { a: 1 } }), /only hold strings; "a"/);
    await refuses(file({ __metadata__: ['x'] }), /not a JSON object/);
  });
});

describe('serializeSafetensors refuses', () => {
  it('a shape that is not the array’s, and the reserved name', async () => {
    const data = new Float32Array(3);
    await expectError(
      () => serializeSafetensors({ w: { shape: [2, 2], data } }),
      'bad-tensor',
      /"w": shape \[2, 2\] needs 4 elements, the array has 3/,
    );
    await expectError(
      () => serializeSafetensors({ w: { shape: [-1, -3], data } }),
      'bad-tensor',
      /"w"/,
    );
    await expectError(
      () => serializeSafetensors({ __metadata__: { shape: [3], data } }),
      'bad-tensor',
      /reserves/,
    );
  });
});
