import { type Checkpoint, parseCheckpoint } from '../checkpoint.ts';
import { readBytes } from './read-file.ts';

/**
 * Opens a weights file for `loadWeights`.
 *
 * @throws HistogradError `no-file`, `not-readable`, and those of `parseCheckpoint`
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  return parseCheckpoint(await readBytes(path), path);
}
