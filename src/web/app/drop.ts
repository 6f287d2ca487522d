/** Files and whole folders out of a drop, with their paths. */
import type { DroppedFile } from '../protocol.ts';

/** The parts of the browser's file entries that are used here. */
export interface Entry {
  readonly isDirectory: boolean;
  readonly fullPath: string;
  file?(resolve: (file: File) => void, reject: (error: unknown) => void): void;
  createReader?(): {
    readEntries(resolve: (entries: Entry[]) => void, reject: (error: unknown) => void): void;
  };
}

/** Must be called in the drop event itself: the entries are gone after the first await. */
export function readDrop(transfer: DataTransfer): Promise<DroppedFile[]> {
  const found = [...transfer.items].flatMap((item): (Entry | File)[] => {
    if (item.kind !== 'file') return [];
    const taken: Entry | File | null = item.webkitGetAsEntry() ?? item.getAsFile();
    return taken ? [taken] : [];
  });
  return Promise.all(
    found.map((taken) => (taken instanceof File ? [named(taken)] : readEntry(taken))),
  ).then((lists) => lists.flat());
}

/** All files under an entry; hidden ones (`.DS_Store`) are left out. */
export async function readEntry(entry: Entry): Promise<DroppedFile[]> {
  const path = entry.fullPath.replace(/^\//, '');
  if (/(^|\/)\.[^/]*$/.test(path)) return [];
  if (!entry.isDirectory) {
    const file = await new Promise<File>((resolve, reject) => {
      if (entry.file) entry.file(resolve, reject);
      else reject(new Error(`${path} cannot be read.`));
    });
    return [{ path, file }];
  }
  const reader = entry.createReader?.();
  if (!reader) return [];
  const files: DroppedFile[] = [];
  // A reader gives some hundred entries at a time, and none at the end.
  for (;;) {
    const entries = await new Promise<Entry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (entries.length === 0) return files;
    for (const child of entries) files.push(...(await readEntry(child)));
  }
}

/** From a file picker, of files or of a folder. */
export function readPicked(list: FileList | null): DroppedFile[] {
  return [...(list ?? [])].map(named).filter(({ path }) => !/(^|\/)\.[^/]*$/.test(path));
}

function named(file: File): DroppedFile {
  return { path: file.webkitRelativePath || file.name, file };
}
