/** Buffers that results are read back through; a few are kept. */

const KEPT = 4;

export class Staging {
  readonly #gpu: GPUDevice;
  readonly #free: GPUBuffer[] = [];

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  take(bytes: number): GPUBuffer {
    const index = this.#free.findIndex((b) => b.size >= bytes && b.size <= 4 * bytes + 4096);
    if (index >= 0) return this.#free.splice(index, 1)[0]!;
    const size = Math.max(1024, 2 ** Math.ceil(Math.log2(bytes + 4)));
    return this.#gpu.createBuffer({
      label: 'readback',
      size: Math.min(size, this.#gpu.limits.maxBufferSize),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
  }

  giveBack(buffer: GPUBuffer): void {
    if (this.#free.length < KEPT) this.#free.push(buffer);
    else buffer.destroy();
  }
}
