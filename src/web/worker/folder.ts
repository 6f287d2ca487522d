/** Folders that keep runs: in the browser's storage (OPFS), or in memory where there is none. */
import { HistogradError } from '../../errors.ts';
import { formatBytes } from '../../report/format.ts';
import type { DatasetFolder } from './dataset.ts';

export interface Folder extends DatasetFolder {
  /** Removes a file or a folder with all in it; nothing to remove is fine. */
  remove(name: string): Promise<void>;
  /** A folder inside, made where it is missing. */
  folder(name: string): Promise<Folder>;
  /** Names of the folders inside. */
  folders(): Promise<string[]>;
  /** Of all files inside. */
  bytes(): Promise<number>;
}

/**
 * The folder of this page in the browser's storage.
 *
 * @throws HistogradError `no-storage` where the browser gives none (private windows)
 */
export async function openStorage(name: string): Promise<Folder> {
  try {
    const root = await navigator.storage.getDirectory();
    return new StorageFolder(await root.getDirectoryHandle(name, { create: true }));
  } catch (cause) {
    throw new HistogradError(
      'no-storage',
      'This browser gives the page no storage, so that runs are lost when the tab is closed.',
      'Leave the private window, or allow the page to store data.',
      { cause },
    );
  }
}

class StorageFolder implements Folder {
  readonly #handle: FileSystemDirectoryHandle;

  constructor(handle: FileSystemDirectoryHandle) {
    this.#handle = handle;
  }

  async read(name: string): Promise<File | null> {
    try {
      return await (await this.#handle.getFileHandle(safe(name))).getFile();
    } catch (cause) {
      if (isNamed(cause, 'NotFoundError')) return null;
      throw cause;
    }
  }

  /**
   * What is written goes to a file of its own until it is whole, and then takes the place of the old one: that is what
   * `createWritable` does. (A sync access handle would write in place.)
   *
   * @throws HistogradError `storage-full`
   */
  async write(name: string, content: Uint8Array<ArrayBuffer> | Blob): Promise<void> {
    const bytes = content instanceof Blob ? content.size : content.byteLength;
    try {
      const file = await this.#handle.getFileHandle(safe(name), { create: true });
      const stream = await file.createWritable();
      try {
        await stream.write(content);
        await stream.close();
      } catch (cause) {
        await stream.abort().catch(() => {});
        throw cause;
      }
    } catch (cause) {
      throw isNamed(cause, 'QuotaExceededError') ? await storageFull(bytes, cause) : cause;
    }
  }

  async remove(name: string): Promise<void> {
    await this.#handle.removeEntry(safe(name), { recursive: true }).catch((cause: unknown) => {
      if (!isNamed(cause, 'NotFoundError')) throw cause;
    });
  }

  async folder(name: string): Promise<Folder> {
    return new StorageFolder(await this.#handle.getDirectoryHandle(safe(name), { create: true }));
  }

  async folders(): Promise<string[]> {
    const names: string[] = [];
    for await (const [name, handle] of this.#handle.entries())
      if (handle.kind === 'directory') names.push(decodeURIComponent(name));
    return names;
  }

  bytes(): Promise<number> {
    return bytesIn(this.#handle);
  }
}

async function bytesIn(folder: FileSystemDirectoryHandle): Promise<number> {
  let total = 0;
  for await (const handle of folder.values()) {
    if (handle instanceof FileSystemDirectoryHandle) total += await bytesIn(handle);
    else if (handle instanceof FileSystemFileHandle) total += (await handle.getFile()).size;
  }
  return total;
}

/** Holds its files until the tab is closed. */
export class MemoryFolder implements Folder {
  readonly #files = new Map<string, Blob>();
  readonly #folders = new Map<string, MemoryFolder>();

  async read(name: string): Promise<File | null> {
    const content = this.#files.get(name);
    return content ? new File([content], name) : null;
  }

  async write(name: string, content: Uint8Array<ArrayBuffer> | Blob): Promise<void> {
    this.#files.set(name, new Blob([content]));
  }

  async remove(name: string): Promise<void> {
    this.#files.delete(name);
    this.#folders.delete(name);
  }

  async folder(name: string): Promise<Folder> {
    const folder = this.#folders.get(name) ?? new MemoryFolder();
    this.#folders.set(name, folder);
    return folder;
  }

  async folders(): Promise<string[]> {
    return [...this.#folders.keys()];
  }

  async bytes(): Promise<number> {
    let total = 0;
    for (const { size } of this.#files.values()) total += size;
    for (const folder of this.#folders.values()) total += await folder.bytes();
    return total;
  }
}

/** Slides are named by their users: names must not be paths. */
function safe(name: string): string {
  const encoded = encodeURIComponent(name);
  return /^\.*$/.test(encoded) ? encoded.replaceAll('.', '%2E') : encoded;
}

function isNamed(cause: unknown, name: string): boolean {
  return cause instanceof Error && cause.name === name;
}

async function storageFull(bytes: number, cause: unknown): Promise<HistogradError> {
  const none: StorageEstimate = {};
  const { usage = 0, quota = 0 } = await navigator.storage.estimate().catch(() => none);
  return new HistogradError(
    'storage-full',
    `The browser has no room for ${formatBytes(bytes)} more: this page uses ${formatBytes(usage)} of ${formatBytes(quota)}.`,
    'Delete stored runs that you no longer need, or free disk space.',
    { cause },
  );
}
