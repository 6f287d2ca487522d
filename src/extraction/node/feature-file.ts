/** Feature files written batch by batch, under a temporary name until they are complete. */
import { appendFile, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { checkH5Opened } from '../../data/h5-rows.ts';
import { syncFolder, writeError } from '../../data/node/atomic-write.ts';
import { loadH5 } from '../../data/node/h5-file.ts';
import { temporaryName } from '../../data/node/temporary-files.ts';
import { safetensorsHeader } from '../../data/safetensors.ts';

export type FeatureFileFormat = 'h5' | 'safetensors';

export interface FeatureFileContent {
  /** Tiles, known before the first is computed. */
  readonly rows: number;
  /** Length of an embedding. */
  readonly width: number;
  /** Upper left corners in level-0 pixels, [rows, 2]. */
  readonly coords: Int32Array<ArrayBuffer>;
  /** Attributes of the file (h5) or its metadata (safetensors). */
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Attributes of `coords` (h5), where CLAM and TRIDENT look for them. */
  readonly coordsAttributes?: Readonly<Record<string, string | number | readonly number[]>>;
}

export interface FeatureFileWriter {
  /** The next rows, [n, width]. */
  append(features: Float32Array): Promise<void>;
  /** Completes the file and gives it its name. */
  finish(): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
}

/**
 * Begins a feature file: `.h5` in CLAM's layout (`features` [N, d] float32, `coords` [N, 2] int32, chunks of 32 rows, uncompressed), or
 * `.safetensors` with the same two tensors.
 *
 * @throws HistogradError `disk-full`, `not-writable`, `no-folder` or `write-failed`, here and in the writer
 */
export async function createFeatureFile(
  path: string,
  format: FeatureFileFormat,
  content: FeatureFileContent,
): Promise<FeatureFileWriter> {
  const temporary = await temporaryName(path);
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw writeError(path, cause);
    }
  };
  const begin = format === 'h5' ? beginH5 : beginSafetensors;
  const body = await guard(() => begin(temporary, content)).catch(async (cause) => {
    await rm(temporary, { force: true });
    throw cause;
  });
  return {
    append: (features) => guard(() => body.append(features)),
    finish: () =>
      guard(async () => {
        await body.close();
        await rename(temporary, path);
        await syncFolder(dirname(path));
      }),
    async discard() {
      await body.close().catch(() => {});
      await rm(temporary, { force: true });
    },
  };
}

interface Body {
  append(features: Float32Array): Promise<void>;
  close(): Promise<void>;
}

async function beginH5(path: string, content: FeatureFileContent): Promise<Body> {
  const { width, coords, attributes, coordsAttributes = {} } = content;
  const { library, File } = await loadH5();
  // Node says why it cannot be made, h5wasm does not; 'wx' never follows or overwrites what has the name already.
  await (await open(path, 'wx')).close();
  // h5wasm keeps its own working folder, so that a later process.chdir would mislead it.
  const file = new File(resolve(path), 'w');
  checkH5Opened(file, path);
  const create = (name: string, columns: number, data: Float32Array | Int32Array, dtype: string) =>
    file.create_dataset({
      name,
      data,
      shape: [data.length / columns, columns],
      dtype,
      maxshape: [null, columns],
      chunks: [32, columns],
    });
  const features = create('features', width, new Float32Array(0), '<f4');
  const places = create('coords', 2, coords, '<i4');
  for (const [name, value] of Object.entries(attributes)) file.create_attribute(name, value);
  for (const [name, value] of Object.entries(coordsAttributes)) {
    places.create_attribute(name, typeof value === 'object' ? [...value] : value);
  }
  /** Of a full disk the library tells by a status alone; of a chunk that found no room, not even so: it is looked for. */
  const written = async (status: number, isStored = () => true) => {
    if (status >= 0 && isStored()) return;
    await appendFile(path, new Uint8Array(1 << 20)); // the same fails here, with its reason
    throw new Error('the HDF5 library could not write to it');
  };
  let rows = 0;
  let isOpen = true;
  const close = () => {
    if (!isOpen) return 0;
    isOpen = false;
    return file.close();
  };
  try {
    await written(library.flush(file.file_id), () => isSame(places.value, coords));
  } catch (cause) {
    close();
    throw cause;
  }
  return {
    async append(values) {
      const next = rows + values.length / width;
      const range: [number, number][] = [
        [rows, next],
        [0, width],
      ];
      features.resize([next, width]);
      features.write_slice(range, values);
      rows = next;
      const status = library.flush(file.file_id);
      await written(status, () => isSame(features.slice(range), values));
    },
    async close() {
      if (!isOpen) return;
      await written(close());
      await sync(path);
    },
  };
}

function isSame(stored: unknown, values: Float32Array | Int32Array): boolean {
  return ArrayBuffer.isView(stored) && Buffer.compare(bytesOf(stored), bytesOf(values)) === 0;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** What the system still holds goes to the disk. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function beginSafetensors(path: string, content: FeatureFileContent): Promise<Body> {
  const { rows, width, coords, attributes } = content;
  const metadata = Object.fromEntries(Object.entries(attributes).map(([k, v]) => [k, String(v)]));
  const header = safetensorsHeader(
    [
      { name: 'coords', dtype: 'I32', shape: [rows, 2] },
      { name: 'features', dtype: 'F32', shape: [rows, width] },
    ],
    metadata,
  );
  const file = await open(path, 'wx');
  try {
    await file.writeFile(header);
    await file.writeFile(bytesOf(coords));
  } catch (cause) {
    await file.close();
    throw cause;
  }
  let isOpen = true;
  return {
    async append(values) {
      await file.writeFile(bytesOf(values));
    },
    async close() {
      if (!isOpen) return;
      isOpen = false;
      await file.sync().finally(() => file.close());
    },
  };
}
