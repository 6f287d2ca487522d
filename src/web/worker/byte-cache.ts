/** Keeps arrays up to a number of bytes; what was not asked for longest goes first. */
export class ByteCache {
  readonly #limit: number;
  readonly #entries = new Map<string, Float32Array>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): Float32Array | null {
    const found = this.#entries.get(key);
    if (!found) return null;
    // A map lists its keys in the order in which they were set.
    this.#entries.delete(key);
    this.#entries.set(key, found);
    return found;
  }

  set(key: string, values: Float32Array): void {
    this.#drop(key);
    this.#entries.set(key, values);
    this.#bytes += values.byteLength;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#limit || oldest === key) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#entries.get(key)?.byteLength ?? 0;
    this.#entries.delete(key);
  }
}
