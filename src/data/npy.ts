/**
 * NumPy's .npy arrays: versions 1.0 to 3.0, little and big endian, C and Fortran order.
 *
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Written here because the npm reader
 * (npyjs 1.2) takes a cut-off file for a shorter array, ignores byte order and leaves Fortran order to the caller.
 */
import { HistogradError } from '../errors.ts';
import { float16ToFloat32 } from '../half.ts';

type NpyData =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

/** An array in C (row-major) order. Halves are widened to float32; booleans are 0 and 1. */
export interface NpyArray {
  readonly shape: number[];
  readonly data: NpyData;
}

/** A checked header; `dataStart` is the byte at which the values begin. */
export interface NpyHeader {
  readonly shape: number[];
  readonly kind: NpyKind;
  readonly bigEndian: boolean;
  readonly fortranOrder: boolean;
  readonly dataStart: number;
}

const ITEM_BYTES = {
  b1: 1,
  i1: 1,
  u1: 1,
  i2: 2,
  u2: 2,
  f2: 2,
  i4: 4,
  u4: 4,
  f4: 4,
  i8: 8,
  u8: 8,
  f8: 8,
} as const;
type NpyKind = keyof typeof ITEM_BYTES;

/** Enough of a file's start to hold any header that is read here; NumPy's own are a few hundred bytes. */
export const NPY_HEADER_BYTES = 65_536;
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/**
 * Reads a whole .npy file.
 *
 * @param name the file's name, for error messages
 * @throws HistogradError `bad-npy` (not .npy, bad header, cut short, or bytes left over) and `unsupported-dtype`
 *   (structured, string, complex or object arrays; the last are pickles, which are never run)
 */
export function parseNpy(bytes: Uint8Array, name: string): NpyArray {
  const header = parseNpyHeader(bytes, bytes.length, name);
  const { shape, kind } = header;
  // A copy: the values must be aligned, and may be byte-swapped in place.
  const raw = new Uint8Array(bytes.subarray(header.dataStart));
  if (header.bigEndian) swapBytes(raw, ITEM_BYTES[kind]);
  const data = view(raw.buffer, kind);
  return { shape, data: header.fortranOrder ? toRowMajor(data, shape) : data };
}

/**
 * Reads and checks the header alone. `bytes` is the start of the file (`NPY_HEADER_BYTES` are enough), `fileBytes` the
 * size of the whole file. Errors as `parseNpy`.
 */
export function parseNpyHeader(bytes: Uint8Array, fileBytes: number, name: string): NpyHeader {
  if (bytes.length < 12 || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw bad(name, 'it does not begin with \\x93NUMPY');
  }
  const dataView = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = bytes[6];
  if (version !== 1 && version !== 2 && version !== 3) {
    throw bad(name, `format version ${version} is not known (1, 2 and 3 are)`);
  }
  const textStart = version === 1 ? 10 : 12;
  const dataStart =
    textStart + (version === 1 ? dataView.getUint16(8, true) : dataView.getUint32(8, true));
  if (dataStart > Math.min(bytes.length, NPY_HEADER_BYTES)) {
    throw bad(name, `its header claims ${dataStart} bytes, the file has ${fileBytes}`);
  }
  const text = new TextDecoder('utf-8').decode(bytes.subarray(textStart, dataStart));
  const { descr, fortranOrder, shape } = parseHeaderDict(text, name);
  const kind = descr.slice(1);
  if (!/^[<>|=]/.test(descr) || !isKind(kind)) throw unsupported(descr, name);

  const expected = shape.reduce((product, n) => product * n, 1) * ITEM_BYTES[kind];
  if (expected !== fileBytes - dataStart) {
    throw bad(
      name,
      `shape (${shape.join(', ')}) of ${descr} takes ${expected} bytes, the file holds ${fileBytes - dataStart}`,
    );
  }
  return { shape, kind, bigEndian: descr.startsWith('>'), fortranOrder, dataStart };
}

/** The header is a Python dict literal with exactly these three keys. */
function parseHeaderDict(text: string, name: string) {
  const quoted = /['"]descr['"]\s*:\s*['"]([^'"]*)['"]/.exec(text)?.[1];
  const descr = quoted ?? (/['"]descr['"]\s*:\s*\[/.test(text) ? 'structured' : undefined);
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)?.[1];
  const sizes = /['"]shape['"]\s*:\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || sizes === undefined) {
    throw bad(name, `its header cannot be understood: ${text.trim().slice(0, 200)}`);
  }
  const shape = sizes
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number);
  if (!shape.every(Number.isSafeInteger)) throw bad(name, `its shape (${sizes}) is impossible`);
  return { descr, fortranOrder: order === 'True', shape };
}

function view(buffer: ArrayBuffer, kind: NpyKind): NpyData {
  switch (kind) {
    case 'f4':
      return new Float32Array(buffer);
    case 'f8':
      return new Float64Array(buffer);
    case 'f2':
      return float16ToFloat32(new Uint16Array(buffer));
    case 'i1':
      return new Int8Array(buffer);
    case 'b1':
    case 'u1':
      return new Uint8Array(buffer);
    case 'i2':
      return new Int16Array(buffer);
    case 'u2':
      return new Uint16Array(buffer);
    case 'i4':
      return new Int32Array(buffer);
    case 'u4':
      return new Uint32Array(buffer);
    case 'i8':
      return new BigInt64Array(buffer);
    case 'u8':
      return new BigUint64Array(buffer);
  }
}

function swapBytes(bytes: Uint8Array, itemBytes: number): void {
  for (let at = 0; at < bytes.length; at += itemBytes) {
    bytes.subarray(at, at + itemBytes).reverse();
  }
}

/** Reorders a column-major array; the last index runs fastest in the result. */
function toRowMajor(data: NpyData, shape: readonly number[]): NpyData {
  const out = data.slice();
  const index = new Array<number>(shape.length).fill(0);
  for (let target = 0; target < data.length; target++) {
    let source = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source = source * shape[axis]! + index[axis]!;
    }
    out[target] = data[source]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return out;
}

function isKind(text: string): text is NpyKind {
  return Object.hasOwn(ITEM_BYTES, text);
}

function unsupported(descr: string, name: string): HistogradError {
  const objects = descr.slice(1) === 'O';
  return new HistogradError(
    'unsupported-dtype',
    `${name}: arrays of dtype ${objects ? 'object' : descr} are not read; expected numbers (float16/32/64, integers, bool)${
      objects ? '. An object array is a pickle, which could run code' : ''
    }.`,
    'Save the plain array: np.save(path, features.astype("float32")).',
  );
}

function bad(name: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-npy',
    `${name} is not a valid .npy file: ${problem}.`,
    'The file is damaged, cut short or not .npy: copy, download or write it again.',
  );
}
