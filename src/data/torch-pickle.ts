/**
 * The pickle inside a torch checkpoint, read without running anything.
 *
 * A pickle may name any Python function; `torch.load` would call it. Here only the handful of names that a tensor
 * needs mean something, and each builds plain data. Any other name is refused.
 */
import { type PickleGlobal, unpickle } from './unpickle.ts';

/** A tensor as the pickle describes it: a strided window on a storage that lies elsewhere in the file. */
export interface PickledTensor {
  readonly storage: PickledStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

interface PickledStorage {
  readonly key: string;
  readonly dtype: TorchDtype;
  /** Elements. */
  readonly length: number;
}

const STORAGES = {
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  CharStorage: 'int8',
  ShortStorage: 'int16',
  IntStorage: 'int32',
  LongStorage: 'int64',
} as const;
export type TorchDtype = (typeof STORAGES)[keyof typeof STORAGES];

/** What else stands in published checkpoints beside the weights (epochs, arguments, devices). It is not looked at. */
const INERT = new Set([
  'argparse.Namespace',
  'torch.Size',
  'torch.device',
  'torch.float16',
  'torch.bfloat16',
  'torch.float32',
  'torch.float64',
  'torch.int64',
  'collections.defaultdict',
  'collections.Counter',
  '_codecs.encode',
  'numpy.dtype',
  'numpy.core.multiarray.scalar',
  'numpy._core.multiarray.scalar',
  'pathlib.PosixPath',
]);

/** torch allows 64 axes; no weight has more than 5, and each costs time for every element. */
const MAX_AXES = 16;
/** Of all dicts that are made from lists. */
const MAX_PAIRS = 1_000_000;

export interface TorchPickle {
  /** Dicts are Maps, lists and tuples arrays. */
  readonly root: unknown;
  /** Is this part of the root a tensor? */
  isTensor(value: unknown): value is PickledTensor;
  /** All storages that were named, by key. */
  readonly storages: ReadonlyMap<string, PickledStorage>;
  /** The byte behind the pickle. */
  readonly end: number;
}

/** Reads the pickle that starts at byte `start`. Throws Error with a reason. */
export function readTorchPickle(bytes: Uint8Array, start = 0): TorchPickle {
  const tensors = new WeakSet<object>();
  const storages = new Map<string, PickledStorage>();
  const dtypes = new Map<unknown, TorchDtype>();
  let pairCount = 0;

  const isTensor = (value: unknown): value is PickledTensor =>
    typeof value === 'object' && value !== null && tensors.has(value);
  // Membership, not looks: a pickle could give a storage of its own making.
  const isStorage = (value: unknown): value is PickledStorage =>
    typeof value === 'object' &&
    value !== null &&
    'key' in value &&
    isText(value.key) &&
    storages.get(value.key) === value;

  const rebuildTensor = ([storage, offset, shape, stride]: readonly unknown[]): PickledTensor => {
    if (!isStorage(storage) || !isCount(offset) || !isCounts(shape) || !isCounts(stride)) {
      throw new Error('a tensor is described by arguments that make no sense');
    }
    if (shape.length !== stride.length) throw new Error("a tensor's strides do not fit its shape");
    if (shape.length > MAX_AXES) throw new Error(`a tensor has ${shape.length} axes`);
    const tensor = Object.freeze({ storage, offset, shape: [...shape], stride: [...stride] });
    tensors.add(tensor);
    return tensor;
  };

  const global = (module: string, name: string): PickleGlobal => {
    const path = `${module}.${name}`;
    if (module === 'torch' && isStorageName(name)) {
      const type = fixed(() => {
        throw new Error(`${name} is not called`);
      });
      dtypes.set(type, STORAGES[name]);
      return type;
    }
    switch (path) {
      case 'torch._utils._rebuild_tensor_v2':
      case 'torch._utils._rebuild_tensor':
        return fixed(rebuildTensor);
      case 'torch._utils._rebuild_parameter':
      case 'torch._utils._rebuild_parameter_with_state':
        return fixed(([data]) => data);
      case 'collections.OrderedDict':
        return fixed(([pairs]) => {
          // A list may be given again and again: a few bytes each time, but all its pairs.
          if (Array.isArray(pairs)) pairCount += pairs.length;
          if (pairCount > MAX_PAIRS) throw new Error(`its dicts take more than ${MAX_PAIRS} pairs`);
          return dictOf(pairs);
        });
    }
    if (INERT.has(path)) return fixed(() => null);
    throw new Error(
      `it names ${path.slice(0, 200)}, which is not one of the functions a tensor needs; nothing was run`,
    );
  };

  // torch's ids are tuples: ('storage', type, key, location, length), in the old format with a view's place behind.
  const persistent = (id: unknown): PickledStorage => {
    const [tag, type, key, , length, viewOf] = Array.isArray(id) ? id : [];
    const dtype = dtypes.get(type);
    if (tag !== 'storage' || dtype === undefined || !isText(key) || !isCount(length)) {
      throw new Error('a storage is described in a way that is not known');
    }
    if (viewOf !== undefined && viewOf !== null) {
      throw new Error('a storage is a view of another one, which only torch before 0.4 wrote');
    }
    const known = storages.get(key);
    if (known && (known.dtype !== dtype || known.length !== length)) {
      throw new Error(`the storage ${key.slice(0, 100)} is described in two ways`);
    }
    const storage = known ?? Object.freeze({ key, dtype, length });
    storages.set(key, storage);
    return storage;
  };

  const { value: root, end } = unpickle(bytes, start, { global, persistent });
  return { root, isTensor, storages, end };
}

/** The tensors of a pickle's root by name; a bare tensor is called ''. Values that are no tensors are left out. */
export function rootTensors({ root, isTensor }: TorchPickle): Map<string, PickledTensor> {
  if (isTensor(root)) return new Map([['', root]]);
  return root instanceof Map ? tensorsOf(root, isTensor) : new Map();
}

/** The entries of a dict that are tensors. */
export function tensorsOf(
  dict: ReadonlyMap<unknown, unknown>,
  isTensor: TorchPickle['isTensor'],
): Map<string, PickledTensor> {
  const found = new Map<string, PickledTensor>();
  for (const [key, value] of dict) if (isText(key) && isTensor(value)) found.set(key, value);
  return found;
}

function fixed(call: PickleGlobal['call']): PickleGlobal {
  return Object.freeze({ call });
}

/** OrderedDict(), or of a list of pairs, as Python 2 wrote it. */
function dictOf(pairs: unknown): Map<unknown, unknown> {
  const dict = new Map<unknown, unknown>();
  if (Array.isArray(pairs)) {
    for (const pair of pairs) if (Array.isArray(pair)) dict.set(pair[0], pair[1]);
  }
  return dict;
}

function isStorageName(name: string): name is keyof typeof STORAGES {
  return Object.hasOwn(STORAGES, name);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}
