/** Data sets out of sources: the simulated cohort, dropped files, the browser's storage. Runs in the worker. */
import type { Device } from '../../gpu/device.ts';
import type { DroppedFile, Intake, OpenOptions } from '../protocol.ts';
import type { Dataset, DatasetFolder, OnTask } from '../worker/dataset.ts';

/** Draws the demonstration's cohort. */
export async function openSimulated(): Promise<Dataset> {
  const { openSimulated: open } = await import('./simulated.ts');
  return open();
}

/** Says what the files are and what they can become; reads headers only. Never throws for what is in a file. */
export async function inspectFiles(files: readonly DroppedFile[]): Promise<Intake> {
  const { inspect } = await import('./inspect.ts');
  return inspect(files);
}

/**
 * Opens what the files can become.
 *
 * @param onTask progress of what takes time: reading counts, describing tiles
 * @throws HistogradError the problem that `inspectFiles` told, and those of the readers
 */
export async function openFiles(
  files: readonly DroppedFile[],
  options: OpenOptions,
  device: Device,
  onTask: OnTask,
): Promise<Dataset> {
  const { open } = await import('./open-files.ts');
  return open(files, options, device, onTask);
}

/** Opens what `Dataset.save` wrote. Throws `no-saved-data`, `bad-saved-data`. */
export async function openSaved(folder: DatasetFolder): Promise<Dataset> {
  const { openSaved: open } = await import('./saved.ts');
  return open(folder);
}
