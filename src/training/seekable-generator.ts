import { type Draw, Generator } from '../tensor/random.ts';

/** A generator that can go back, so that a resumed run draws what the first one would have drawn. */
export class SeekableGenerator extends Generator {
  #at = 0;

  override get offset(): number {
    return this.#at;
  }

  override next(): Draw {
    return { seed: this.seed, offset: this.#at++ };
  }

  seek(offset: number): void {
    this.#at = offset;
  }
}
