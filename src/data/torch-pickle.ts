/**
 * The pickle inside a torch checkpoint, read without running anything.
 *
 * A pickle may name any Python function; `torch.load` would call it. Here only the handful of names that a tensor
 * needs mean something, and each builds plain data. Any other name is refused.
 */
import { Parser } from 'pickleparser';

/** A tensor as the pickle describes it: a strided window on a storage that lies in another file of the archive. */
export interface PickledTensor {
  readonly storage: { readonly key: string; readonly dtype: TorchDtype; readonly length: number };
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

const STORAGES = {
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  ByteStorage: 'uint8',
  CharStorage: 'int8',
  ShortStorage: 'int16',
  IntStorage: 'int32',
  LongStorage: 'int64',
} as const;
export type TorchDtype = (typeof STORAGES)[keyof typeof STORAGES];

/** The tensors of a pickle by name; a bare tensor is called ''. Values that are no tensors are left out. */
export function parseTorchPickle(bytes: Uint8Array): Map<string, PickledTensor> {
  const tensors = new WeakSet<object>();
  const storages = new WeakSet<object>();
  const storageTypes = new Map<unknown, TorchDtype>();

  // Membership, not looks: a pickle can forge an object with any fields.
  const isStorage = (value: unknown): value is PickledTensor['storage'] =>
    typeof value === 'object' && value !== null && storages.has(value);

  const rebuildTensor = (...args: unknown[]): PickledTensor => {
    const [storage, offset, shape, stride] = args;
    if (!isStorage(storage) || !isCount(offset) || !isCounts(shape) || !isCounts(stride)) {
      throw new Error('a tensor is described by arguments that make no sense');
    }
    if (shape.length !== stride.length) throw new Error("a tensor's strides do not fit its shape");
    const tensor = Object.freeze({ storage, offset, shape: [...shape], stride: [...stride] });
    tensors.add(tensor);
    return tensor;
  };

  // Arrow functions cannot be constructed, so the opcodes that construct objects fail on all of these.
  const resolve = (module: string, name: string): ((...args: unknown[]) => unknown) => {
    const dtype = module === 'torch' && Object.hasOwn(STORAGES, name) ? name : undefined;
    if (dtype !== undefined && isStorageName(dtype)) {
      const marker = Object.freeze(() => {
        throw new Error(`${name} is not called`);
      });
      storageTypes.set(marker, STORAGES[dtype]);
      return marker;
    }
    switch (`${module}.${name}`) {
      case 'torch._utils._rebuild_tensor_v2':
        return Object.freeze(rebuildTensor);
      case 'torch._utils._rebuild_parameter':
        return Object.freeze((data: unknown) => data);
      case 'collections.OrderedDict':
        return Object.freeze(() => new Map());
      default:
        throw new Error(
          `it names ${module}.${name}, which is not one of the functions a tensor needs; nothing was run`,
        );
    }
  };

  // Typed as a string by the library, but torch's ids are tuples: ('storage', type, key, location, length).
  const resolvePersistent = (id: unknown): PickledTensor['storage'] => {
    const [tag, type, key, , length] = Array.isArray(id) ? id : [];
    const dtype = storageTypes.get(type);
    if (tag !== 'storage' || dtype === undefined || !isText(key) || !isCount(length)) {
      throw new Error('a storage is described in a way that is not known');
    }
    const storage = Object.freeze({ key, dtype, length });
    storages.add(storage);
    return storage;
  };

  const root = new Parser({
    nameResolver: { resolve },
    persistentResolver: { resolve: resolvePersistent },
    unpicklingTypeOfDictionary: 'Map',
  }).parse<unknown>(bytes);

  const isTensor = (value: unknown): value is PickledTensor =>
    typeof value === 'object' && value !== null && tensors.has(value);
  if (isTensor(root)) return new Map([['', root]]);
  const found = new Map<string, PickledTensor>();
  if (root instanceof Map) {
    for (const [key, value] of root) if (isText(key) && isTensor(value)) found.set(key, value);
  }
  return found;
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
