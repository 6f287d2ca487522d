/** The JSON header of a safetensors file, read and checked: names, dtypes, shapes and byte ranges. */
import { HistogradError } from '../errors.ts';
import { findDuplicateKey } from './json-keys.ts';

/** The dtypes read, and their bytes per element. */
export const SAFETENSORS_BYTES = {
  F32: 4,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  I64: 8,
  U8: 1,
} as const;

/** A dtype that is read. */
export type SafetensorsDtype = keyof typeof SAFETENSORS_BYTES;

/** One entry of a file's header: shape, and the byte range counted from the end of the header. */
export interface SafetensorsEntry {
  readonly dtype: SafetensorsDtype;
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

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
/** The header's length, a little-endian u64. */
export const LENGTH_BYTES = 8;

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
      `${name}: tensor ${label} has dtype ${dtype}; expected one of ${Object.keys(SAFETENSORS_BYTES).join(', ')}`,
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
  const expected = shape.reduce((product, n) => product * n, 1) * SAFETENSORS_BYTES[dtype];
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

function isDtype(text: string): text is SafetensorsDtype {
  return Object.hasOwn(SAFETENSORS_BYTES, text);
}

/** An integer >= 0 that a double holds exactly. */
export function isCount(value: unknown): value is number {
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
