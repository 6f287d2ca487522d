/**
 * Counter-based random numbers (Philox4x32-10): a number is a pure function of the seed, the offset
 * of the draw and its index. The state of a generator is two integers, which a checkpoint stores.
 */
import code from '../../shaders/random.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { everyStep } from '../gpu/recording.ts';
import { elementwisePlan } from './grid.ts';
import { bindPart, elementParts } from './parts.ts';
import { type Shape, Tensor } from './tensor.ts';

const kernel = defineKernel('random', code);

/**
 * One draw: everything a kernel needs to produce its numbers, now or again in the backward pass. In the replay of a
 * step the offset moves on: read it when parameters are packed, and do not copy it before.
 */
export interface Draw {
  readonly seed: readonly [number, number];
  readonly offset: number;
}

export class Generator {
  readonly seed: readonly [number, number];
  #offset: number;

  /**
   * @param seed an integer up to 2^53
   * @param offset number of the first draw
   */
  constructor(seed: number, offset = 0) {
    this.seed = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
    this.#offset = offset;
  }

  /** Draws made so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Goes to a draw number, so that a resumed run draws what the first one would have drawn. */
  seek(offset: number): void {
    this.#offset = offset;
  }

  next(): Draw {
    const draw = { seed: this.seed, offset: 0 };
    everyStep(
      () => {
        draw.offset = this.#offset++;
      },
      () => {
        this.#offset--;
      },
    );
    return draw;
  }
}

/** A draw with the probability of an element to be dropped. */
export function dropping(draw: Draw, p: number): Draw & { readonly p: number } {
  return {
    p,
    seed: draw.seed,
    get offset() {
      return draw.offset;
    },
  };
}

/** Float32 numbers uniform in [low, high). */
export function uniform(device: Device, shape: Shape, draw: Draw, low = 0, high = 1): Tensor {
  return fill(device, shape, 'uniform_fill', draw, low, high);
}

/** Float32 normal numbers. */
export function normal(device: Device, shape: Shape, draw: Draw, mean = 0, deviation = 1): Tensor {
  return fill(device, shape, 'normal_fill', draw, mean, deviation);
}

function fill(
  device: Device,
  shape: Shape,
  entry: string,
  draw: Draw,
  a: number,
  b: number,
): Tensor {
  const out = Tensor.empty(device, shape, 'f32', 'random');
  for (const part of elementParts(device, out.size)) {
    const [first, vecs] = [part.start / 4, Math.ceil(part.count / 4)];
    device.run(kernel, entry, {
      buffers: { out: bindPart(out, part) },
      params: () => ({ seed: draw.seed, offset: draw.offset, first, vecs, a, b }),
      ...elementwisePlan(device, part.count),
    });
  }
  return out;
}
