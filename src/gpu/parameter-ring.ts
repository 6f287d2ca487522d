/** Parameters of all dispatches of a recording, uploaded in one write and bound by dynamic offset. */

const BYTES = 256 * 1024;

/** Writes the parameters of a dispatch from `at` on, through either view of the ring. */
export type Pack = (view: DataView, at: number, bytes: Uint8Array) => void;

export class ParameterRing {
  readonly buffer: GPUBuffer;
  readonly #gpu: GPUDevice;
  readonly #bytes = new Uint8Array(BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  /** Read once: asking the GPU costs as much as a dispatch. */
  readonly #align: number;
  #used = 0;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
    this.#align = gpu.limits.minUniformBufferOffsetAlignment;
    this.buffer = gpu.createBuffer({
      label: 'parameters',
      size: BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  fits(bytes: number): boolean {
    return this.#used + bytes <= BYTES;
  }

  /** Has `pack` write the parameters of a dispatch; returns their place. */
  add(bytes: number, pack: Pack): number {
    const at = this.#used;
    if (bytes === 0) return at;
    pack(this.#view, at, this.#bytes);
    this.#used = Math.ceil((at + bytes) / this.#align) * this.#align;
    return at;
  }

  /** A copy of what was packed at a place. */
  copyOf(at: number, bytes: number): Uint8Array {
    return this.#bytes.slice(at, at + bytes);
  }

  /** Hands all to the GPU, ahead of the recording that uses it, and begins anew. */
  upload(): void {
    if (this.#used > 0) this.#gpu.queue.writeBuffer(this.buffer, 0, this.#bytes, 0, this.#used);
    this.#used = 0;
  }
}
