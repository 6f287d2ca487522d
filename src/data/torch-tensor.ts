/** Tensors from PyTorch `.pt` files in the zip format (torch >= 1.6), read without running any of their pickle. */
import { HistogradError } from '../errors.ts';
import { aligned } from './aligned.ts';
import { bfloat16ToFloat32, float16ToFloat32 } from './half.ts';
import { type PickledTensor, parseTorchPickle, type TorchDtype } from './torch-pickle.ts';
import { zipEntries } from './zip-stored.ts';

/** A dense float tensor in row-major order. */
export interface TorchTensor {
  readonly shape: number[];
  readonly data: Float32Array<ArrayBuffer>;
}

const ITEM_BYTES: Readonly<Record<TorchDtype, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
};
/** A tensor's pickle is a few hundred bytes, a large model's state dict some hundred kilobytes. */
const MAX_PICKLE_BYTES = 16 * 2 ** 20;

/**
 * The shapes of a file's tensors by name ('' for a file that holds one bare tensor).
 *
 * @param bytes the file; its first 64 KiB are enough when its pickle comes first, as torch writes it. Returns undefined
 *   when `bytes` is such a start (`fileBytes` is larger) and the pickle is not in it.
 * @throws HistogradError as `parseTorchTensors`
 */
export function parseTorchShapes(
  bytes: Uint8Array,
  fileBytes: number,
  name: string,
): Map<string, number[]> | undefined {
  let pickled: Map<string, PickledTensor> | undefined;
  if (bytes.length < fileBytes) {
    const start = leadingPickleStart(bytes, name);
    if (start === undefined) return undefined;
    try {
      // A pickle says itself where it ends; one that goes on past `bytes` fails here and is read in full.
      pickled = parseTorchPickle(bytes.subarray(start));
    } catch {
      return undefined;
    }
  } else {
    pickled = readPickle(bytes, name).tensors;
  }
  return new Map([...pickled].map(([key, tensor]) => [key, [...tensor.shape]]));
}

/**
 * Reads the tensor called `key` ('' for a file that holds one bare tensor), widened or narrowed to float32.
 *
 * @param name the file's name, for error messages
 * @throws HistogradError `bad-torch-file`: not torch's zip format, a pickle that names anything but tensors, a damaged
 *   archive or compressed entries (torch writes none), a storage that is missing or too short
 */
export function parseTorchTensor(bytes: Uint8Array, key: string, name: string): TorchTensor {
  const { tensors, entries, folder } = readPickle(bytes, name);
  const tensor = tensors.get(key);
  if (tensor === undefined) throw bad(name, `it holds no tensor called ${JSON.stringify(key)}`);
  const path = `${folder}data/${tensor.storage.key}`;
  const storage = entries.get(path);
  if (storage === undefined) throw bad(name, `the values of the tensor (${path}) are missing`);
  return { shape: [...tensor.shape], data: gather(tensor, storage, name) };
}

function readPickle(bytes: Uint8Array, name: string) {
  leadingPickleStart(bytes, name);
  const entries = attempt(name, () => zipEntries(bytes));
  const path = [...entries.keys()].find((entry) => /(^|\/)data\.pkl$/.test(entry)) ?? 'data.pkl';
  const pickle = entries.get(path);
  if (pickle === undefined) throw bad(name, 'it holds no data.pkl');
  const folder = path.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(order) !== 'little') {
    throw bad(name, 'its values are big-endian');
  }
  if (pickle.length > MAX_PICKLE_BYTES) {
    throw bad(name, `its pickle has ${pickle.length} bytes; at most ${MAX_PICKLE_BYTES} are read`);
  }
  return { tensors: attempt(name, () => parseTorchPickle(pickle)), entries, folder };
}

function attempt<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw bad(name, reason.replace(/\.$/, ''), cause);
  }
}

/** Where the pickle starts if it is the archive's first entry; refuses files that are no zip archives. */
function leadingPickleStart(bytes: Uint8Array, name: string): number | undefined {
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) {
    throw bad(name, 'it is not a zip archive (torch before 1.6 wrote another format)');
  }
  if (bytes.length < 30) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const nameBytes = view.getUint16(26, true);
  const start = 30 + nameBytes + view.getUint16(28, true);
  const entry = new TextDecoder().decode(bytes.subarray(30, 30 + nameBytes));
  const stored = view.getUint16(8, true) === 0;
  return stored && entry.endsWith('/data.pkl') ? start : undefined;
}

/** A strided window of a storage as a dense float32 array; a view on the file's bytes where that is the same. */
function gather(
  tensor: PickledTensor,
  storage: Uint8Array,
  name: string,
): Float32Array<ArrayBuffer> {
  const { shape, stride, offset } = tensor;
  const values = decode(storage, tensor.storage.dtype, name);
  const length = shape.reduce((product, n) => product * n, 1);
  const last = shape.reduce((at, n, axis) => at + (n - 1) * stride[axis]!, offset);
  if (length > 0 && last >= values.length) {
    throw bad(
      name,
      `shape [${shape.join(', ')}] needs ${last + 1} values, the file holds ${values.length}`,
    );
  }
  // A stride of 0 repeats values: a few bytes may claim a huge tensor, which no feature file does.
  if (length > values.length) {
    throw bad(
      name,
      `shape [${shape.join(', ')}] repeats values; call .contiguous() and save again`,
    );
  }
  let dense = 1;
  const isDense = shape.every((_, i) => {
    const axis = shape.length - 1 - i;
    const fits = shape[axis] === 1 || stride[axis] === dense;
    dense *= shape[axis]!;
    return fits;
  });
  if (isDense) return values.subarray(offset, offset + length);

  const out = new Float32Array(length);
  for (let target = 0; target < length; target++) {
    let rest = target;
    let source = offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += (rest % shape[axis]!) * stride[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    out[target] = values[source]!;
  }
  return out;
}

function decode(storage: Uint8Array, dtype: TorchDtype, name: string): Float32Array<ArrayBuffer> {
  if (storage.length % ITEM_BYTES[dtype] !== 0) {
    throw bad(
      name,
      `its ${dtype} values take ${storage.length} bytes, which is not a whole number`,
    );
  }
  const { buffer, byteOffset } = aligned(storage, ITEM_BYTES[dtype]);
  const length = storage.length / ITEM_BYTES[dtype];
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, byteOffset, length);
    case 'float16':
      return float16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'bfloat16':
      return bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'float64':
      return new Float32Array(new Float64Array(buffer, byteOffset, length));
    case 'uint8':
      return new Float32Array(new Uint8Array(buffer, byteOffset, length));
    case 'int8':
      return new Float32Array(new Int8Array(buffer, byteOffset, length));
    case 'int16':
      return new Float32Array(new Int16Array(buffer, byteOffset, length));
    case 'int32':
      return new Float32Array(new Int32Array(buffer, byteOffset, length));
    case 'int64':
      return Float32Array.from(new BigInt64Array(buffer, byteOffset, length), Number);
  }
}

function bad(name: string, problem: string, cause?: unknown): HistogradError {
  return new HistogradError(
    'bad-torch-file',
    `${name} cannot be read as a torch tensor: ${problem}.`,
    'Save the plain tensor again with torch.save(features.cpu().contiguous(), path), or use .npy, .h5 or .safetensors.',
    { cause },
  );
}
