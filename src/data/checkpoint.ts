/** The tensors of a weights file, whichever of the usual formats it has. */
import { HistogradError } from '../errors.ts';
import { decodeSafetensor } from './safetensors.ts';
import { parseSafetensorsHeader } from './safetensors-header.ts';
import { badTorchFile, isOldTorch, isZip, openTorchFile } from './torch-file.ts';
import { type PickledTensor, type TorchPickle, tensorsOf } from './torch-pickle.ts';
import { torchValues } from './torch-tensor.ts';

/** A tensor of a weights file; its values are read when asked for. */
export interface CheckpointTensor {
  readonly shape: readonly number[];
  /** The values in row-major order, widened or narrowed to float32. Throws HistogradError when the file is damaged. */
  values(): Float32Array<ArrayBuffer>;
}

export interface Checkpoint {
  /** The file's name, for messages. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

/** Where training scripts put the state dict, in the order in which they are looked for. */
const SECTIONS = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'teacher',
  'student',
  'module',
  'net',
  'network',
  'backbone',
  'encoder',
  'model_ema',
  'params',
  'weights',
];

/**
 * Opens a weights file: safetensors, or what torch.save wrote (`.pth`, `.pt`, `.bin`, `.ckpt`; a state dict, or a dict
 * that has one under 'state_dict', 'model', 'teacher' or the like). The format follows from the content. Nothing of a
 * pickle is run, and values are read only when asked for.
 *
 * @param bytes the whole file
 * @param name its name, for messages
 * @throws HistogradError `bad-safetensors`, `unsupported-dtype`, `bad-torch-file`, or `unknown-weights` for other formats
 */
export function parseCheckpoint(bytes: Uint8Array, name: string): Checkpoint {
  if (isZip(bytes) || isOldTorch(bytes)) return { name, tensors: torchTensors(bytes, name) };
  // A safetensors file begins with its header's length, then the header's brace.
  if (bytes[8] === 0x7b) return { name, tensors: safetensors(bytes, name) };
  const found =
    bytes.length === 0
      ? 'nothing'
      : (OTHERS.find(([magic]) => magic.every((byte, i) => bytes[i] === byte))?.[1] ??
        'something else');
  throw new HistogradError(
    'unknown-weights',
    `${name}: expected a safetensors file or one that torch.save wrote, found ${found} (${bytes.length} bytes).`,
    'Save the weights in Python, from where you trust them: safetensors.torch.save_file(model.state_dict(), path), or ' +
      'torch.save(model.state_dict(), path).',
  );
}

const OTHERS: readonly (readonly [readonly number[], string])[] = [
  [[0x89, 0x48, 0x44, 0x46], 'HDF5 (a Keras file?)'],
  [[0x1f, 0x8b], 'a gzip file; unpack it first'],
  [[0x93, 0x4e, 0x55, 0x4d], 'a NumPy array'],
  [[0x80], 'a pickle that torch.save did not write'],
  [[0x3c], 'a web page (a download that failed?)'],
  [[0x76, 0x65, 0x72, 0x73], 'a Git LFS pointer instead of the file'],
];

function safetensors(bytes: Uint8Array, name: string): Map<string, CheckpointTensor> {
  const { entries, dataStart } = parseSafetensorsHeader(bytes, bytes.length, name);
  const tensors = new Map<string, CheckpointTensor>();
  for (const [key, entry] of entries) {
    const values = () => {
      const { begin, end } = entry;
      const { data } = decodeSafetensor(entry, bytes.subarray(dataStart + begin, dataStart + end));
      if (data instanceof Float32Array) return data;
      return data instanceof BigInt64Array
        ? Float32Array.from(data, Number)
        : Float32Array.from(data);
    };
    tensors.set(key, { shape: entry.shape, values });
  }
  return tensors;
}

function torchTensors(bytes: Uint8Array, name: string): Map<string, CheckpointTensor> {
  const file = openTorchFile(bytes, name);
  const found = stateDict(file.pickle.root, file.pickle);
  if (!found) {
    const { root } = file.pickle;
    const keys =
      root instanceof Map ? [...root.keys()].filter((key) => typeof key === 'string') : [];
    const listed = keys.slice(0, 10).map((key) => JSON.stringify(key.slice(0, 50)));
    throw badTorchFile(
      name,
      `it holds no state dict (${listed.length > 0 ? `found ${listed.join(', ')}` : 'no dict with names'})`,
    );
  }
  const tensors = new Map<string, CheckpointTensor>();
  for (const [key, tensor] of found) {
    const values = () => torchValues(file, tensor, `${name}, ${key.slice(0, 200)}`);
    tensors.set(key, { shape: tensor.shape, values });
  }
  return tensors;
}

/** The named section that holds tensors, at most three levels down; else the dict's own tensors. */
function stateDict(
  value: unknown,
  { isTensor }: Pick<TorchPickle, 'isTensor'>,
  depth = 3,
): Map<string, PickledTensor> | undefined {
  if (!(value instanceof Map)) return undefined;
  if (depth > 0) {
    for (const section of SECTIONS) {
      const found = stateDict(value.get(section), { isTensor }, depth - 1);
      if (found) return found;
    }
  }
  const own = tensorsOf(value, isTensor);
  return own.size > 0 ? own : undefined;
}
