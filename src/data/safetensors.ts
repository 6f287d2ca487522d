/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes.
 *
 * Source: https://huggingface.co/docs/safetensors (format section) and its Rust reader, whose rules on holes and
 * overlaps are kept here, so that a file accepted or written by us is accepted by PyTorch's side and the reverse.
 */
import { HistogradError } from '../errors.ts';
import { bfloat16ToFloat32, float16ToFloat32 } from './half.ts';
import { findDuplicateKey } from './json-keys.ts';

/** The array types that a tensor can be held in. */
export type SafetensorData =
  | Float32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

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

/** One entry of a file's header: shape, and the byte range counted from the end of the header. */
export interface SafetensorsEntry {
  readonly dtype: Safetensor['dtype'];
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

/** A checked header; `dataStart` is the byte at which the tensors begin. */
export interface SafetensorsHeader {
  readonly entries: Map<string, SafetensorsEntry>;
  readonly metadata: Record<string, string>;
  readonly dataStart: number;
}

const BYTES: Readonly<Record<Safetensor['dtype'], number>> = {
  F32: 4,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  I64: 8,
  U8: 1,
};
/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
const LENGTH_BYTES = 8;

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
    tensors.set(key, decode(entry, bytes.subarray(dataStart + entry.begin, dataStart + entry.end)));
  }
  return { tensors, metadata };
}

/**
 * Reads and checks the header alone: `bytes` is the start of the file (at least the header), `fileBytes` the size of
 * the whole file. Errors as `parseSafetensors`.
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  fileBytes: number,
  name: string,
): SafetensorsHeader {
  const dataStart = safetensorsDataStart(bytes, fileBytes, name);
  const json = parseJson(bytes.subarray(LENGTH_BYTES, dataStart), name);
  const entries = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(json)) {
    if (key === '__metadata__') metadata = checkMetadata(value, name);
    else entries.set(key, checkEntry(key, value, name));
  }
  checkRanges(entries, fileBytes - dataStart, name);
  return { entries, metadata, dataStart };
}

/** The byte at which the tensors begin, from a file's first 8 bytes: how much to read to have the header. */
export function safetensorsDataStart(bytes: Uint8Array, fileBytes: number, name: string): number {
  if (fileBytes < LENGTH_BYTES || bytes.length < LENGTH_BYTES) {
    throw bad(name, `expected at least 8 bytes (the header's length), found ${fileBytes}`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw bad(name, `the header claims ${length} bytes; the format allows ${MAX_HEADER_BYTES}`);
  }
  const dataStart = LENGTH_BYTES + Number(length);
  if (dataStart > fileBytes) {
    throw bad(name, `the header claims ${length} bytes, but the file has only ${fileBytes}`);
  }
  return dataStart;
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

  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', sortedRecord(metadata)]);
  let offset = 0;
  for (const [key, { shape, data }] of entries) {
    checkInput(key, shape, data);
    const end = offset + data.byteLength;
    header.push([key, { dtype: dtypeOf(data), shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Built by hand because an object would move integer-like names ("0", "1") to the front.
  const json = `{${header.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const headerBytes = Math.ceil(text.length / 8) * 8;

  const out = new Uint8Array(LENGTH_BYTES + headerBytes + offset);
  new DataView(out.buffer).setBigUint64(0, BigInt(headerBytes), true);
  out.set(text, LENGTH_BYTES);
  out.fill(0x20, LENGTH_BYTES + text.length, LENGTH_BYTES + headerBytes);
  let at = LENGTH_BYTES + headerBytes;
  for (const [, { data }] of entries) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}

function decode(entry: SafetensorsEntry, view: Uint8Array): Safetensor {
  const { dtype, shape } = entry;
  const { buffer, byteOffset } = aligned(view, BYTES[dtype]);
  const length = view.length / BYTES[dtype];
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

/** The view's buffer and offset if an array of that element size may lie on it, else a copy's. */
function aligned(
  view: Uint8Array,
  elementBytes: number,
): { buffer: ArrayBuffer; byteOffset: number } {
  if (view.buffer instanceof ArrayBuffer && view.byteOffset % elementBytes === 0) {
    return { buffer: view.buffer, byteOffset: view.byteOffset };
  }
  return { buffer: new Uint8Array(view).buffer, byteOffset: 0 };
}

function parseJson(bytes: Uint8Array, name: string): Record<string, unknown> {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw bad(name, 'the header is not JSON in UTF-8', cause);
  }
  if (!isRecord(json) || !text.startsWith('{')) {
    throw bad(name, 'the header is not a JSON object');
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw bad(name, `the header has the name ${JSON.stringify(duplicate)} twice`);
  }
  return json;
}

function checkMetadata(value: unknown, name: string): Record<string, string> {
  if (!isRecord(value)) throw bad(name, '__metadata__ is not a JSON object');
  const entries = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text !== 'string') {
      throw bad(name, `__metadata__ may only hold strings; ${JSON.stringify(key)} is not one`);
    }
    return [key, text];
  });
  return Object.fromEntries(entries);
}

function checkEntry(key: string, value: unknown, name: string): SafetensorsEntry {
  const label = JSON.stringify(key);
  if (!isRecord(value)) throw bad(name, `the entry of tensor ${label} is not a JSON object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string') throw bad(name, `tensor ${label} has no dtype`);
  if (!isDtype(dtype)) {
    throw new HistogradError(
      'unsupported-dtype',
      `${name}: tensor ${label} has dtype ${dtype}; expected one of ${Object.keys(BYTES).join(', ')}`,
      'Convert the tensor (for example to float32) and save the file again.',
    );
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw bad(name, `tensor ${label}: shape must be a list of integers >= 0`);
  }
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? offsets : [];
  if (!isCount(begin) || !isCount(end) || begin > end) {
    throw bad(name, `tensor ${label}: data_offsets must be [begin, end] with 0 <= begin <= end`);
  }
  const expected = shape.reduce((product, n) => product * n, 1) * BYTES[dtype];
  if (expected !== end - begin) {
    throw bad(
      name,
      `tensor ${label}: ${dtype} of shape [${shape.join(', ')}] takes ${expected} bytes, data_offsets give ${end - begin}`,
    );
  }
  return { dtype, shape, begin, end };
}

/** The tensors' byte ranges must cover the data exactly: in range, without overlap, without holes. */
function checkRanges(
  entries: Map<string, SafetensorsEntry>,
  dataBytes: number,
  name: string,
): void {
  const sorted = [...entries].sort(([, x], [, y]) => x.begin - y.begin || x.end - y.end);
  let at = 0;
  for (const [key, { begin, end }] of sorted) {
    const label = JSON.stringify(key);
    if (end > dataBytes) {
      throw bad(name, `tensor ${label} ends at byte ${end}, but there are only ${dataBytes}`);
    }
    if (begin < at) throw bad(name, `tensor ${label} overlaps another one`);
    if (begin > at) throw bad(name, `there are ${begin - at} unused bytes before tensor ${label}`);
    at = end;
  }
  if (at < dataBytes) throw bad(name, `there are ${dataBytes - at} unused bytes at the end`);
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

function dtypeOf(data: SafetensorInput['data']): Safetensor['dtype'] {
  if (data instanceof Float32Array) return 'F32';
  if (data instanceof Int32Array) return 'I32';
  if (data instanceof Uint32Array) return 'U32';
  if (data instanceof BigInt64Array) return 'I64';
  return 'U8';
}

function sortedRecord(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isDtype(text: string): text is Safetensor['dtype'] {
  return Object.hasOwn(BYTES, text);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(name: string, problem: string, cause?: unknown): HistogradError {
  return new HistogradError(
    'bad-safetensors',
    `${name} is not a valid safetensors file: ${problem}`,
    'The file is damaged, cut short or not safetensors: copy, download or write it again.',
    { cause },
  );
}
