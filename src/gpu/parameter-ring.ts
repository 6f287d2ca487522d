/** Parameters of all dispatches of a recording, uploaded together and bound by dynamic offset. */

/**
 * Room for 4,096 dispatches (WebGPU aligns offsets to 256 bytes), as many as most steps have: a dispatch has a bind group
 * for each chunk that it was ever in, and equal steps find theirs again.
 */
const CHUNK_BYTES = 2 ** 20;
/** 262,144 dispatches to a submission; so that loops that never submit take bounded memory. */
const MOST_CHUNKS = 64;

/** Writes the parameters of a dispatch from `at` on, through either view of a chunk. */
export type Pack = (view: DataView, at: number, bytes: Uint8Array) => void;

interface Chunk {
  readonly buffer: GPUBuffer;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  used: number;
}

export class ParameterRing {
  readonly #gpu: GPUDevice;
  readonly #chunks: Chunk[] = [];
  /** Read once: asking the GPU costs as much as a dispatch. */
  readonly #align: number;
  /** The chunk being filled. */
  #now = 0;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
    this.#align = gpu.limits.minUniformBufferOffsetAlignment;
    this.#chunks.push(this.#newChunk());
  }

  buffer(chunk: number): GPUBuffer {
    return this.#chunks[chunk]!.buffer;
  }

  /** Is there room for the parameters of one more dispatch, before an `upload`? */
  fits(bytes: number): boolean {
    return this.#fitsNow(bytes) || this.#now + 1 < MOST_CHUNKS;
  }

  /** The chunk that they go to. */
  chunkFor(bytes: number): number {
    if (!this.#fitsNow(bytes)) {
      this.#now++;
      if (this.#now === this.#chunks.length) this.#chunks.push(this.#newChunk());
    }
    return this.#now;
  }

  /** Has `pack` write the parameters of a dispatch to the chunk of `chunkFor`; returns their place in it. */
  add(bytes: number, pack: Pack): number {
    const chunk = this.#chunks[this.#now]!;
    const at = chunk.used;
    if (bytes === 0) return at;
    pack(chunk.view, at, chunk.bytes);
    chunk.used = Math.ceil((at + bytes) / this.#align) * this.#align;
    return at;
  }

  /** A copy of what was packed last, at this place. */
  copyOf(at: number, bytes: number): Uint8Array {
    return this.#chunks[this.#now]!.bytes.slice(at, at + bytes);
  }

  /** Hands all to the GPU, ahead of the recording that uses it, and begins anew. */
  upload(): void {
    for (const chunk of this.#chunks) {
      const { buffer, bytes, used } = chunk;
      if (used > 0) this.#gpu.queue.writeBuffer(buffer, 0, bytes, 0, used);
      chunk.used = 0;
    }
    this.#now = 0;
  }

  #fitsNow(bytes: number): boolean {
    return this.#chunks[this.#now]!.used + bytes <= CHUNK_BYTES;
  }

  #newChunk(): Chunk {
    const bytes = new Uint8Array(CHUNK_BYTES);
    const buffer = this.#gpu.createBuffer({
      label: `parameters ${this.#chunks.length}`,
      size: CHUNK_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    return { buffer, bytes, view: new DataView(bytes.buffer), used: 0 };
  }
}
