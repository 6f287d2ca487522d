/** Open slides: as many as fit into memory; the others are opened again when they are asked for. */
import { openSlide } from '../../slides/open-slide.ts';
import type { Slide } from '../../slides/slide.ts';

/** Pictures that are decoded whole (JPEG, PNG) take most: up to 384 MiB each. */
const POOL_BYTES = 640 * 2 ** 20;
/** Tiles that an open pyramid keeps. */
const TILE_CACHE_BYTES = 48 * 2 ** 20;

export interface SlideFiles {
  /** Several for a DICOM series. */
  readonly files: readonly { readonly file: Blob; readonly name: string }[];
}

interface Opened {
  readonly slide: Promise<Slide>;
  bytes: number;
  users: number;
}

export class SlidePool {
  readonly #open = new Map<SlideFiles, Opened>();
  readonly #capacity: number;

  constructor(capacity = POOL_BYTES) {
    this.#capacity = capacity;
  }

  /** Opens the slide unless it is open, and keeps it open at least until `use` is done. Errors as `openSlide`. */
  async use<T>(source: SlideFiles, use: (slide: Slide) => Promise<T>): Promise<T> {
    const known = this.#open.get(source);
    const entry = known ?? { slide: openFiles(source), bytes: 0, users: 0 };
    // The most recent comes last.
    this.#open.delete(source);
    this.#open.set(source, entry);
    entry.users++;
    try {
      const slide = await entry.slide;
      if (entry.bytes === 0) {
        entry.bytes = bytesOf(slide);
        await this.#makeRoom();
      }
      return await use(slide);
    } catch (cause) {
      if (entry.bytes === 0) this.#open.delete(source);
      throw cause;
    } finally {
      entry.users--;
    }
  }

  async close(): Promise<void> {
    const entries = [...this.#open.values()];
    this.#open.clear();
    for (const { slide } of entries) {
      await slide.then(
        (opened) => opened.close(),
        () => {},
      );
    }
  }

  async #makeRoom(): Promise<void> {
    let held = [...this.#open.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    for (const [source, entry] of this.#open) {
      if (held <= this.#capacity) return;
      if (entry.users > 0) continue;
      this.#open.delete(source);
      held -= entry.bytes;
      await (await entry.slide).close();
    }
  }
}

function openFiles({ files }: SlideFiles): Promise<Slide> {
  const [first] = files;
  const options = { cacheBytes: TILE_CACHE_BYTES };
  return files.length === 1 && first
    ? openSlide(first.file, { ...options, name: first.name })
    : openSlide(
        files.map(({ file, name }) => new File([file], name)),
        options,
      );
}

function bytesOf({ format, levels: [full] }: Slide): number {
  const whole = format === 'jpeg' || format === 'png';
  return whole && full ? full.width * full.height * 3 : TILE_CACHE_BYTES;
}
