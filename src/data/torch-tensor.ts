/** Tensors from what torch.save wrote, read without running any of its pickle. */

import { bfloat16ToFloat32, float16ToFloat32 } from '../half.ts';
import { aligned } from './aligned.ts';
import { badTorchFile, ITEM_BYTES, isZip, openTorchFile, type TorchFile } from './torch-file.ts';
import {
  type PickledTensor,
  readTorchPickle,
  rootTensors,
  type TorchDtype,
} from './torch-pickle.ts';

/** A dense float tensor in row-major order. */
interface TorchTensor {
  readonly shape: number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/**
 * The shapes of a file's tensors by name ('' for a file that holds one bare tensor).
 *
 * @param bytes the file; its first 64 KiB are enough when its pickle comes first, as torch writes it. Returns undefined
 *   when `bytes` is such a start (`fileBytes` is larger) and the pickle is not in it.
 * @throws HistogradError as `parseTorchTensor`
 */
export function parseTorchShapes(
  bytes: Uint8Array,
  fileBytes: number,
  name: string,
): Map<string, number[]> | undefined {
  let pickled: Map<string, PickledTensor>;
  if (bytes.length < fileBytes) {
    const start = leadingPickleStart(bytes);
    if (start === undefined) return undefined;
    try {
      // A pickle says itself where it ends; one that goes on past `bytes` fails here and is read in full.
      pickled = rootTensors(readTorchPickle(bytes, start));
    } catch {
      return undefined;
    }
  } else {
    pickled = rootTensors(openTorchFile(bytes, name).pickle);
  }
  return new Map([...pickled].map(([key, tensor]) => [key, [...tensor.shape]]));
}

/**
 * Reads the tensor called `key` ('' for a file that holds one bare tensor), widened or narrowed to float32.
 *
 * @param name the file's name, for error messages
 * @throws HistogradError `bad-torch-file`: neither of torch's formats, a pickle that names anything but tensors, a
 *   damaged archive or compressed entries (torch writes none), a storage that is missing or too short
 */
export function parseTorchTensor(bytes: Uint8Array, key: string, name: string): TorchTensor {
  const file = openTorchFile(bytes, name);
  const tensor = rootTensors(file.pickle).get(key);
  if (tensor === undefined)
    throw badTorchFile(name, `it holds no tensor called ${JSON.stringify(key)}`);
  return { shape: [...tensor.shape], data: torchValues(file, tensor, name) };
}

/** Where the pickle starts if it is the archive's first entry, as torch writes it. */
function leadingPickleStart(bytes: Uint8Array): number | undefined {
  if (!isZip(bytes) || bytes.length < 30) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const nameBytes = view.getUint16(26, true);
  const start = 30 + nameBytes + view.getUint16(28, true);
  const entry = new TextDecoder().decode(bytes.subarray(30, 30 + nameBytes));
  const stored = view.getUint16(8, true) === 0;
  return stored && entry.endsWith('/data.pkl') ? start : undefined;
}

/**
 * A tensor's values in row-major order as float32; a view on the file's bytes where that is the same. Takes no more
 * memory than the values have.
 *
 * @throws HistogradError `bad-torch-file`: the window does not lie in the storage, or repeats its values
 */
export function torchValues(
  file: TorchFile,
  tensor: PickledTensor,
  name: string,
): Float32Array<ArrayBuffer> {
  const { shape, stride, offset } = tensor;
  const { dtype } = tensor.storage;
  const storage = file.storage(tensor);
  const width = ITEM_BYTES[dtype];
  if (storage.length % width !== 0) {
    throw badTorchFile(
      name,
      `its ${dtype} values take ${storage.length} bytes, which is not a whole number`,
    );
  }
  const held = storage.length / width;
  const length = shape.reduce((product, n) => product * n, 1);
  const last = shape.reduce((at, n, axis) => at + (n - 1) * stride[axis]!, offset);
  const label = `shape [${shape.join(', ')}]`;
  if (length > 0 && last >= held) {
    throw badTorchFile(name, `${label} needs ${last + 1} values, the file holds ${held}`);
  }
  // A stride of 0 repeats values: a few bytes may claim a huge tensor, which no weight or feature is.
  if (length > held) {
    throw badTorchFile(name, `${label} repeats values; call .contiguous() and save again`);
  }
  if (length === 0) return new Float32Array(0);
  if (isDense(tensor)) {
    return decode(storage.subarray(offset * width, (offset + length) * width), dtype);
  }
  const gathered = new Uint8Array(length * width);
  const index = shape.map(() => 0);
  let source = offset;
  for (let target = 0; target < length; target++) {
    for (let byte = 0; byte < width; byte++) {
      gathered[target * width + byte] = storage[source * width + byte]!;
    }
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += stride[axis]!;
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      source -= shape[axis]! * stride[axis]!;
      index[axis] = 0;
    }
  }
  return decode(gathered, dtype);
}

function isDense({ shape, stride }: PickledTensor): boolean {
  let dense = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && stride[axis] !== dense) return false;
    dense *= shape[axis]!;
  }
  return true;
}

function decode(bytes: Uint8Array, dtype: TorchDtype): Float32Array<ArrayBuffer> {
  const { buffer, byteOffset } = aligned(bytes, ITEM_BYTES[dtype]);
  const length = bytes.length / ITEM_BYTES[dtype];
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
    case 'bool':
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
