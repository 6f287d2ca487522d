/**
 * Buffers that a dispatch reads as textures, a vec4 to a texel: what a kernel declares as
 * `texture_storage_2d<rgba32float, read>` is copied just before it runs. On lavapipe a read of a storage buffer is a test and a
 * load for each number in each lane, written out, and a read of a texture is a call (kernels-bench/ladders/matmul.md).
 */
import { BINDING_ALIGNMENT } from './buffer-pool.ts';
import { type Binding, boundBuffer, boundBytes } from './pipelines.ts';

const TEXEL_BYTES = 16;
/** Texels of a row that are used, as shaders/shared/texels.wgsl has it. */
const ROW = 256;
const ROW_BYTES = ROW * TEXEL_BYTES;
/** Texels behind them: what is a whole number of pages apart in the buffer would share a few sets of the caches. */
const PADDING = 4;
/** 64 MiB: textures are kept, up to four of each size. */
const MOST_ROWS = 2 ** 14;

export interface TexelTexture {
  /** Of this one only: bind groups are found by it. */
  readonly id: number;
  readonly raw: GPUTexture;
  readonly view: GPUTextureView;
}

export interface TexelCopy {
  readonly from: Binding;
  /** Whole texels, for which buffers have the room. Fixed here: a replay may find the buffer as it served another tensor last. */
  readonly bytes: number;
  readonly to: TexelTexture;
}

function same(a: Binding, b: Binding): boolean {
  if (!('buffer' in a) || !('buffer' in b)) return a === b;
  return a.buffer === b.buffer && a.offset === b.offset && a.bytes === b.bytes;
}

export class TexelCopies {
  readonly #gpu: GPUDevice;
  /** Told the bytes that there were not. */
  readonly #onError: (bytes: number) => void;
  /** By place and height. */
  readonly #textures = new Map<string, TexelTexture>();
  readonly #mostRows: number;
  /** Of the largest operand that can be copied. */
  readonly mostBytes: number;
  #bytes = 0;
  #nextId = 1;

  constructor(gpu: GPUDevice, onError: (bytes: number) => void) {
    this.#gpu = gpu;
    this.#onError = onError;
    this.#mostRows = Math.min(gpu.limits.maxTextureDimension2D, MOST_ROWS);
    // A part of a tensor is bound from a little before where it begins.
    this.mostBytes = this.#mostRows * ROW_BYTES - BINDING_ALIGNMENT;
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
    const bytes = Math.ceil(boundBytes(from) / TEXEL_BYTES) * TEXEL_BYTES;
    const rows = Math.max(1, Math.ceil(bytes / ROW_BYTES));
    const height = Math.min(2 ** Math.ceil(Math.log2(rows)), Math.max(rows, this.#mostRows));
    const key = `${slot}:${height}`;
    return { from, bytes, to: this.#textures.get(key) ?? this.#create(key, height) };
  }

  record(encoder: GPUCommandEncoder, { from, bytes, to }: TexelCopy): void {
    const buffer = boundBuffer(from).raw;
    const offset = 'buffer' in from ? from.offset : 0;
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

  #create(key: string, height: number): TexelTexture {
    const width = ROW + PADDING;
    const bytes = width * height * TEXEL_BYTES;
    this.#gpu.pushErrorScope('out-of-memory');
    const raw = this.#gpu.createTexture({
      label: `texels ${key}`,
      size: [width, height],
      format: 'rgba32float',
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
    });
    this.#gpu.popErrorScope().then(
      (error) => {
        if (!error) return;
        this.#textures.delete(key);
        this.#bytes -= bytes;
        this.#onError(bytes);
      },
      () => {}, // the device was lost; `Device` reports that
    );
    const texture = { id: this.#nextId++, raw, view: raw.createView() };
    this.#textures.set(key, texture);
    this.#bytes += bytes;
    return texture;
  }
}
