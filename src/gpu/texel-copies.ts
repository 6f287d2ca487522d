/**
 * Buffers that a dispatch reads as textures, a vec4 to a texel: what a kernel declares as
 * `texture_storage_2d<rgba32float, read>` is copied just before it runs. On lavapipe a read of a storage buffer is a test and a
 * load for each number in each lane, written out, and a read of a texture is a call (kernels-bench/ladders/matmul.md).
 */
import type { HistogradError } from '../errors.ts';
import { outOfMemory } from './gpu-errors.ts';
import { type Binding, boundBuffer } from './pipelines.ts';

const TEXEL_BYTES = 16;
/** Texels of a row that are used, as shaders/shared/texels.wgsl has it. */
const ROW = 256;
const ROW_BYTES = ROW * TEXEL_BYTES;
/** Texels behind them: what is a whole number of pages apart in the buffer would share a few sets of the caches. */
const PADDING = 4;

export interface TexelTexture {
  readonly id: string;
  readonly raw: GPUTexture;
  readonly view: GPUTextureView;
}

export interface TexelCopy {
  readonly from: Binding;
  readonly to: TexelTexture;
}

/** Bytes of a binding that are copied: whole texels, for which buffers have the room. */
function copied(from: Binding): number {
  const bytes = 'buffer' in from ? from.bytes : from.asked;
  return Math.ceil(bytes / TEXEL_BYTES) * TEXEL_BYTES;
}

function same(a: Binding, b: Binding): boolean {
  if (!('buffer' in a) || !('buffer' in b)) return a === b;
  return a.buffer === b.buffer && a.offset === b.offset && a.bytes === b.bytes;
}

export class TexelCopies {
  readonly #gpu: GPUDevice;
  readonly #onError: (error: HistogradError) => void;
  readonly #textures = new Map<string, TexelTexture>();
  /** Of the largest operand that can be copied. */
  readonly mostBytes: number;
  #bytes = 0;

  constructor(gpu: GPUDevice, onError: (error: HistogradError) => void) {
    this.#gpu = gpu;
    this.#onError = onError;
    this.mostBytes = Math.min(gpu.limits.maxTextureDimension2D, 2 ** 14) * ROW_BYTES;
  }

  /** Bytes of all textures. They are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The copies that a dispatch needs of such operands, each once, and the texture of each. Dispatches run in order, so that each may
   * write over the textures of the one before: there is one for each place among the copies and height (a power of two).
   */
  copiesOf(operands: readonly Binding[]): { copies: TexelCopy[]; textures: TexelTexture[] } {
    const copies: TexelCopy[] = [];
    const textures = operands.map((operand) => {
      let copy = copies.find(({ from }) => same(from, operand));
      if (!copy) {
        copy = this.#copyOf(operand, copies.length);
        copies.push(copy);
      }
      return copy.to;
    });
    return { copies, textures };
  }

  #copyOf(from: Binding, slot: number): TexelCopy {
    const rows = Math.max(1, Math.ceil(copied(from) / ROW_BYTES));
    const height = 2 ** Math.ceil(Math.log2(rows));
    const id = `${slot}:${height}`;
    return { from, to: this.#textures.get(id) ?? this.#create(id, height) };
  }

  record(encoder: GPUCommandEncoder, { from, to }: TexelCopy): void {
    const buffer = boundBuffer(from).raw;
    const offset = 'buffer' in from ? from.offset : 0;
    const bytes = copied(from);
    const rows = Math.floor(bytes / ROW_BYTES);
    const rest = (bytes % ROW_BYTES) / TEXEL_BYTES;
    const texture = to.raw;
    if (rows > 0) {
      const source = { buffer, offset, bytesPerRow: ROW_BYTES };
      encoder.copyBufferToTexture(source, { texture }, [ROW, rows]);
    }
    if (rest > 0) {
      const source = { buffer, offset: offset + rows * ROW_BYTES };
      encoder.copyBufferToTexture(source, { texture, origin: [0, rows] }, [rest, 1]);
    }
  }

  #create(id: string, height: number): TexelTexture {
    const width = ROW + PADDING;
    const bytes = width * height * TEXEL_BYTES;
    this.#gpu.pushErrorScope('out-of-memory');
    const raw = this.#gpu.createTexture({
      label: `texels ${id}`,
      size: [width, height],
      format: 'rgba32float',
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
    });
    this.#gpu.popErrorScope().then(
      (error) => {
        if (!error) return;
        this.#textures.delete(id);
        this.#bytes -= bytes;
        this.#onError(outOfMemory('a copy of an operand', bytes, 0, this.#bytes));
      },
      () => {}, // the device was lost; `Device` reports that
    );
    const texture = { id, raw, view: raw.createView() };
    this.#textures.set(id, texture);
    this.#bytes += bytes;
    return texture;
  }
}
