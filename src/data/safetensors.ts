/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes.
 *
 * Source: https://huggingface.co/docs/safetensors (format section) and its Rust reader, whose rules on holes and
 * overlaps are kept here, so that a file accepted or written by us is accepted by PyTorch's side and the reverse.
 */
import { HistogradError } from '../errors.ts';
import { bfloat16ToFloat32, float16ToFloat32 } from '../half.ts';
import { aligned } from './aligned.ts';
import {
  isCount,
  LENGTH_BYTES,
  parseSafetensorsHeader,
  SAFETENSORS_BYTES,
  type SafetensorsDtype,
  type SafetensorsEntry,
} from './safetensors-header.ts';

/** One tensor as read: `dtype` is the file's; F16 and BF16 are widened to a Float32Array. */
export type Safetensor =
  | { dtype: 'F32' | 'F16' | 'BF16'; shape: number[]; data: Float32Array<ArrayBuffer> }
  | { dtype: 'I32'; shape: number[]; data: Int32Array<ArrayBuffer> }
  | { dtype: 'U32'; shape: number[]; data: Uint32Array<ArrayBuffer> }
  | { dtype: 'I64'; shape: number[]; data: BigInt64Array<ArrayBuffer> }
  | { dtype: 'U8'; shape: number[]; data: Uint8Array<ArrayBuffer> };

/** One tensor to write; its dtype follows from the array's type. */
export interface SafetensorInput {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint32Array | BigInt64Array | Uint8Array;
}

/** A file's content. */
export interface Safetensors {
  tensors: Map<string, Safetensor>;
  /** The header's `__metadata__`; empty when the file has none. */
  metadata: Record<string, string>;
}

/**
 * Reads a whole safetensors file. Arrays are views on `bytes` where alignment allows, else copies.
 *
 * @param name the file's name, for error messages
 * @throws HistogradError `bad-safetensors` for a file that breaks the format (header length beyond the file, bad JSON,
 *   duplicate names, overlapping or out-of-range byte ranges, holes, a shape that does not match its bytes), and
 *   `unsupported-dtype` for a dtype other than F32, F16, BF16, I32, U32, I64, U8.
 */
export function parseSafetensors(bytes: Uint8Array, name: string): Safetensors {
  const { entries, metadata, dataStart } = parseSafetensorsHeader(bytes, bytes.length, name);
  const tensors = new Map<string, Safetensor>();
  for (const [key, entry] of entries) {
    tensors.set(
      key,
      decodeSafetensor(entry, bytes.subarray(dataStart + entry.begin, dataStart + entry.end)),
    );
  }
  return { tensors, metadata };
}

/**
 * Writes a safetensors file: F32, I32, U32, I64 and U8. The same tensors give the same bytes whatever order they come
 * in: as the reference writer does, wider dtypes come first, then names in code-unit order. The data start on a
 * multiple of 8 bytes and every tensor on a multiple of its element size, without holes (readers refuse holes).
 *
 * @throws HistogradError `bad-tensor` when a shape does not match its array or a name is `__metadata__`.
 */
export function serializeSafetensors(
  tensors: ReadonlyMap<string, SafetensorInput> | Readonly<Record<string, SafetensorInput>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const entries = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  entries.sort(
    ([a, x], [b, y]) =>
      y.data.BYTES_PER_ELEMENT - x.data.BYTES_PER_ELEMENT || (a < b ? -1 : a > b ? 1 : 0),
  );

  for (const [key, { shape, data }] of entries) checkInput(key, shape, data);
  const header = safetensorsHeader(
    entries.map(([name, { shape, data }]) => ({ name, dtype: dtypeOf(data), shape })),
    metadata,
  );
  const bytes = entries.reduce((sum, [, { data }]) => sum + data.byteLength, 0);
  const out = new Uint8Array(header.length + bytes);
  out.set(header);
  let at = header.length;
  for (const [, { data }] of entries) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}

/** What begins a safetensors file whose tensors follow in this order without holes; wider dtypes first. */
export function safetensorsHeader(
  tensors: readonly { name: string; dtype: SafetensorsDtype; shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', sortedRecord(metadata)]);
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const end = offset + SAFETENSORS_BYTES[dtype] * shape.reduce((product, n) => product * n, 1);
    header.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Built by hand because an object would move integer-like names ("0", "1") to the front.
  const json = `{${header.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const out = new Uint8Array(LENGTH_BYTES + headerBytes).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(headerBytes), true);
  out.set(text, LENGTH_BYTES);
  return out;
}

/** An array of a file, from the bytes of its entry. */
export function decodeSafetensor(entry: SafetensorsEntry, view: Uint8Array): Safetensor {
  const { dtype, shape } = entry;
  const { buffer, byteOffset } = aligned(view, SAFETENSORS_BYTES[dtype]);
  const length = view.length / SAFETENSORS_BYTES[dtype];
  switch (dtype) {
    case 'F32':
      return { dtype, shape, data: new Float32Array(buffer, byteOffset, length) };
    case 'F16':
      return { dtype, shape, data: widen(float16ToFloat32, buffer, byteOffset, length) };
    case 'BF16':
      return { dtype, shape, data: widen(bfloat16ToFloat32, buffer, byteOffset, length) };
    case 'I32':
      return { dtype, shape, data: new Int32Array(buffer, byteOffset, length) };
    case 'U32':
      return { dtype, shape, data: new Uint32Array(buffer, byteOffset, length) };
    case 'I64':
      return { dtype, shape, data: new BigInt64Array(buffer, byteOffset, length) };
    case 'U8':
      return { dtype, shape, data: new Uint8Array(buffer, byteOffset, length) };
  }
}

function widen(
  decodeBits: (bits: Uint16Array) => Float32Array<ArrayBuffer>,
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
): Float32Array<ArrayBuffer> {
  return decodeBits(new Uint16Array(buffer, byteOffset, length));
}

function checkInput(key: string, shape: readonly number[], data: SafetensorInput['data']): void {
  if (key === '__metadata__') {
    throw new HistogradError(
      'bad-tensor',
      'A tensor cannot be called __metadata__: the safetensors format reserves that name.',
      'Rename the tensor.',
    );
  }
  const expected = shape.reduce((product, n) => product * n, 1);
  if (!shape.every(isCount) || expected !== data.length) {
    throw new HistogradError(
      'bad-tensor',
      `Tensor ${JSON.stringify(key)}: shape [${shape.join(', ')}] needs ${expected} elements, the array has ${data.length}.`,
      'Pass the shape that belongs to the array.',
    );
  }
}

function dtypeOf(data: SafetensorInput['data']): SafetensorsDtype {
  if (data instanceof Float32Array) return 'F32';
  if (data instanceof Int32Array) return 'I32';
  if (data instanceof Uint32Array) return 'U32';
  if (data instanceof BigInt64Array) return 'I64';
  return 'U8';
}

function sortedRecord(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
