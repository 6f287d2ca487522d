/** The library's fixtures, in Node. */
import { readFileSync } from 'node:fs';

/** A file of `test/`, by its path there. */
export function fixture(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../../${path}`, import.meta.url)));
}
