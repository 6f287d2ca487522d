/**
 * What torch.save writes: the zip archive of torch 1.6 and later, and the row of pickles and bytes from before
 * (the format of many published checkpoints). Nothing of their pickles is run.
 */
import { HistogradError } from '../errors.ts';
import {
  type PickledTensor,
  readTorchPickle,
  type TorchDtype,
  type TorchPickle,
} from './torch-pickle.ts';
import { unpickle } from './unpickle.ts';
import { checkedBytes, zipEntries } from './zip-stored.ts';

/** An opened file. */
export interface TorchFile {
  readonly pickle: TorchPickle;
  /** The bytes of a tensor's storage, checked against their checksum where the format has one. Throws `bad-torch-file`. */
  storage(tensor: PickledTensor): Uint8Array;
}

export const ITEM_BYTES: Readonly<Record<TorchDtype, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  bool: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
};

/** A tensor's pickle is a few hundred bytes, a large model's state dict some hundred kilobytes. */
const MAX_PICKLE_BYTES = 16 * 2 ** 20;
/** The first pickle of the old format: torch's magic number. */
const OLD_MAGIC = [
  0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
];
const OLD_PROTOCOL = 1001;

/** Is it torch's zip format, to judge from its first bytes? */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b;
}

/** Is it the format of torch before 1.6, to judge from its first bytes? */
export function isOldTorch(bytes: Uint8Array): boolean {
  return OLD_MAGIC.every((byte, i) => bytes[i] === byte);
}

/**
 * Opens a whole file of either format.
 *
 * @throws HistogradError `bad-torch-file`: another format, a pickle that names anything but tensors, a damaged archive
 *   or compressed entries (torch writes none)
 */
export function openTorchFile(bytes: Uint8Array, name: string): TorchFile {
  if (isZip(bytes)) return openZip(bytes, name);
  if (isOldTorch(bytes)) return openOld(bytes, name);
  throw badTorchFile(
    name,
    'it is neither the zip archive of torch 1.6 and later nor what torch wrote before',
  );
}

function openZip(bytes: Uint8Array, name: string): TorchFile {
  const entries = attempt(name, () => zipEntries(bytes));
  const path = [...entries.keys()].find((entry) => /(^|\/)data\.pkl$/.test(entry)) ?? 'data.pkl';
  const folder = path.slice(0, -'data.pkl'.length);
  const read = (entry: string): Uint8Array | undefined => {
    const found = entries.get(entry);
    return found && attempt(name, () => checkedBytes(found, entry));
  };
  const pickleBytes = entries.get(path)?.bytes.length ?? 0;
  if (pickleBytes > MAX_PICKLE_BYTES) {
    throw badTorchFile(
      name,
      `its pickle has ${pickleBytes} bytes; at most ${MAX_PICKLE_BYTES} are read`,
    );
  }
  const content = read(path);
  if (content === undefined) throw badTorchFile(name, 'it holds no data.pkl');
  const order = read(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(order) !== 'little') {
    throw badTorchFile(name, 'its values are big-endian');
  }
  // A storage that many tensors share is checked once.
  const checked = new Map<string, Uint8Array>();
  return {
    pickle: attempt(name, () => readTorchPickle(content)),
    storage({ storage: { key } }) {
      const entry = `${folder}data/${key}`;
      const found = checked.get(key) ?? read(entry);
      if (found === undefined) {
        throw badTorchFile(name, `the values of the tensor (${entry.slice(0, 200)}) are missing`);
      }
      checked.set(key, found);
      return found;
    },
  };
}

/**
 * Magic number, protocol, facts on the machine, the object, the keys of its storages: five pickles. Then for each key
 * the number of elements (64 bits) and the elements.
 * Source: torch/serialization.py, _legacy_save.
 */
function openOld(bytes: Uint8Array, name: string): TorchFile {
  return attempt(name, () => {
    const plain = (start: number) => unpickle(bytes, start, { global: noCall, persistent: noCall });
    const protocol = plain(OLD_MAGIC.length);
    if (protocol.value !== OLD_PROTOCOL) throw new Error('its protocol is not 1001');
    const machine = plain(protocol.end);
    if (machine.value instanceof Map && machine.value.get('little_endian') === false) {
      throw new Error('its values are big-endian');
    }
    const pickle = readTorchPickle(bytes, machine.end);
    const keys = plain(pickle.end);
    if (!Array.isArray(keys.value)) throw new Error('the list of its storages is missing');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const storages = new Map<string, Uint8Array>();
    let at = keys.end;
    for (const key of keys.value) {
      const described = typeof key === 'string' ? pickle.storages.get(key) : undefined;
      if (!described) throw new Error('the list of its storages names one that no tensor has');
      if (storages.has(described.key)) throw new Error('the list of its storages names one twice');
      if (at + 8 > bytes.length) throw new Error('the values of its tensors are cut short');
      const length = view.getBigUint64(at, true);
      if (length !== BigInt(described.length)) {
        throw new Error(
          `a storage is described with ${described.length} elements, but has ${length}`,
        );
      }
      const start = at + 8;
      at = start + described.length * ITEM_BYTES[described.dtype];
      if (at > bytes.length) throw new Error('the values of its tensors are cut short');
      storages.set(described.key, bytes.subarray(start, at));
    }
    if (at !== bytes.length)
      throw new Error(`it has ${bytes.length - at} bytes behind its tensors`);
    return {
      pickle,
      storage({ storage: { key } }) {
        const found = storages.get(key);
        if (!found) throw badTorchFile(name, 'the values of the tensor are missing');
        return found;
      },
    };
  });
}

function noCall(): never {
  throw new Error('its head names a function; nothing was run');
}

function attempt<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof HistogradError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw badTorchFile(name, reason.replace(/\.$/, ''), cause);
  }
}

export function badTorchFile(name: string, problem: string, cause?: unknown): HistogradError {
  return new HistogradError(
    'bad-torch-file',
    `${name} cannot be read as a torch file: ${problem}.`,
    'Open it in Python where you trust it, keep the tensors alone and save them again: ' +
      'torch.save({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, path), or safetensors.torch.save_file.',
    { cause },
  );
}
