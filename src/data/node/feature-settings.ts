/** What a feature file says of its own making. */
import { open } from 'node:fs/promises';
import { parseSafetensorsHeader } from '../safetensors-header.ts';
import { useH5File } from './h5-file.ts';

/** The settings that `histograd extract` wrote into a file; null for files of others, or damaged ones. */
export async function readFeatureSettings(path: string): Promise<string | null> {
  return path.endsWith('.h5') ? fromH5(path) : fromSafetensors(path);
}

async function fromH5(path: string): Promise<string | null> {
  try {
    const value = await useH5File(path, (tables) => tables.attribute('', 'histograd'));
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

/** More than any header of ours. */
const HEADER_BYTES = 1 << 16;

async function fromSafetensors(path: string): Promise<string | null> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.min(size, HEADER_BYTES));
    await file.read(bytes, 0, bytes.length, 0);
    return parseSafetensorsHeader(bytes, size, path).metadata.histograd ?? null;
  } catch {
    return null;
  } finally {
    await file.close();
  }
}
