import type { RgbImage } from './slide.ts';

/**
 * Decoded tiles, the least recently used leaving first: neighbouring regions share tiles.
 *
 * At least the last tile stays, whatever its size: a section in one strip would be decoded for every region otherwise.
 */
export class TileCache {
  readonly #tiles = new Map<string, { image: Promise<RgbImage | null>; bytes: number }>();
  readonly #capacity: number;
  #bytes = 0;

  /** @param capacity bytes */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: string, decode: () => Promise<RgbImage | null>): Promise<RgbImage | null> {
    const held = this.#tiles.get(key);
    if (held) {
      this.#tiles.delete(key);
      this.#tiles.set(key, held);
      return held.image;
    }
    const entry = { image: decode(), bytes: 0 };
    this.#tiles.set(key, entry);
    entry.image.then(
      (image) => {
        if (this.#tiles.get(key) !== entry) return;
        entry.bytes = image?.data.length ?? 0;
        this.#bytes += entry.bytes;
        this.#evict(key);
      },
      () => {
        if (this.#tiles.get(key) === entry) this.#tiles.delete(key);
      },
    );
    return entry.image;
  }

  clear(): void {
    this.#tiles.clear();
    this.#bytes = 0;
  }

  #evict(keep: string): void {
    for (const [key, { bytes }] of this.#tiles) {
      if (this.#bytes <= this.#capacity) return;
      // Tiles without bytes are being decoded.
      if (key === keep || bytes === 0) continue;
      this.#tiles.delete(key);
      this.#bytes -= bytes;
    }
  }
}
