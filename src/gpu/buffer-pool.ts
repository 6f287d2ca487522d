/**
 * The one owner of GPU buffers: it makes, recycles and destroys them.
 *
 * A released buffer may be handed out again at once, because all work is recorded in one order on
 * one queue. It is destroyed only after the recording that last used it has been submitted: Dawn
 * rejects a whole submission that names a destroyed buffer.
 */
import type { HistogradError } from '../errors.ts';
import { outOfMemory, tensorTooLarge } from './gpu-errors.ts';

export interface PooledBuffer {
  readonly raw: GPUBuffer;
  readonly bytes: number;
  readonly id: number;
  /** The bytes its present holder asked for; `bytes` may be more. */
  asked: number;
  /** The recording (see `Device`) that last used the buffer. */
  lastRecording: number;
  /** How often it was given back to the pool. */
  lives: number;
  /** When it was last given back, in releases of the pool. */
  releasedAt: number;
}

type FreeLists = Map<number, PooledBuffer[]>;

/** What a step being captured has taken from the pool, and what of it is free again. */
interface Reserve {
  readonly taken: Set<PooledBuffer>;
  readonly free: FreeLists;
}

/** A part of a buffer, for tensors larger than one binding. */
export interface BufferRange {
  readonly buffer: PooledBuffer;
  /** In bytes, a multiple of `BINDING_ALIGNMENT`. */
  readonly offset: number;
  readonly bytes: number;
}

/** Where a binding may begin: WebGPU's default for minStorageBufferOffsetAlignment. */
export const BINDING_ALIGNMENT = 256;

export interface MemoryUse {
  /** Bytes in buffers that tensors hold. */
  live: number;
  /** Bytes in buffers kept for reuse. */
  pooled: number;
  /** Largest `live` so far. */
  peak: number;
}

/** What the pool may hold beyond the most that was ever live. */
const BEYOND_PEAK = 256 * 2 ** 20;
/** Buffers below are made rather than looked for. */
const LEAST_LARGE = 2 ** 20;

/** Rounds up to one of eight steps per power of two, so that recycled buffers fit and most waste < 1/8. */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** Math.max(8, Math.floor(Math.log2(bytes - 1)) - 3);
  return Math.ceil(bytes / step) * step;
}

export class BufferPool {
  readonly #gpu: GPUDevice;
  /** Bytes of a buffer; read once, as `Device.limits`. */
  readonly #largest: number;
  readonly #onError: (error: HistogradError) => void;
  readonly #onDestroy: (buffer: PooledBuffer) => void;
  readonly #free: FreeLists = new Map();
  readonly #doomed: PooledBuffer[] = [];
  readonly #failed = new WeakSet<PooledBuffer>();
  readonly #use: MemoryUse = { live: 0, pooled: 0, peak: 0 };
  #nextId = 1;
  #releases = 0;
  #reserve: Reserve | null = null;

  constructor(
    gpu: GPUDevice,
    onError: (error: HistogradError) => void,
    onDestroy: (buffer: PooledBuffer) => void,
  ) {
    this.#gpu = gpu;
    this.#largest = gpu.limits.maxBufferSize;
    this.#onError = onError;
    this.#onDestroy = onDestroy;
  }

  get use(): Readonly<MemoryUse> {
    return { ...this.#use };
  }

  /**
   * @param unusedIn a recording that must not have used the buffer yet, so that it can be written
   * by the queue without submitting that recording first
   */
  acquire(bytes: number, purpose: string, unusedIn?: number): PooledBuffer {
    const limit = this.#largest;
    if (bytes > limit) throw tensorTooLarge(purpose, bytes, limit, 'can hold in one buffer');
    const size = Math.min(sizeClass(bytes), limit);
    const reserved = this.#reserve && takeFree(this.#reserve.free, size, unusedIn);
    if (reserved) {
      reserved.asked = bytes;
      return reserved;
    }
    let buffer = takeFree(this.#free, size, unusedIn) ?? this.#takeLarger(size, unusedIn);
    if (buffer) this.#use.pooled -= buffer.bytes;
    else buffer = this.#create(size, purpose);
    buffer.asked = bytes;
    this.#reserve?.taken.add(buffer);
    this.#use.live += buffer.bytes;
    this.#use.peak = Math.max(this.#use.peak, this.#use.live);
    return buffer;
  }

  release(buffer: PooledBuffer): void {
    if (this.#reserve?.taken.has(buffer)) {
      putFree(this.#reserve.free, buffer);
      return;
    }
    buffer.lives++;
    buffer.releasedAt = ++this.#releases;
    this.#use.live -= buffer.bytes;
    if (this.#failed.has(buffer)) return;
    this.#use.pooled += buffer.bytes;
    putFree(this.#free, buffer);
    while (this.#use.pooled > this.#mostPooled(this.#use.live)) this.#evictOldest();
  }

  /** Shapes that come once (a bag of an odd size) must not pile up. */
  #mostPooled(live: number): number {
    return BEYOND_PEAK + Math.max(0, this.#use.peak - live);
  }

  /**
   * Where a new buffer would cost a pooled one, up to twice as large: new memory is dear (its pages come when they are
   * first touched), and what is evicted in a long recording stays until its end. Not for a step being captured, which keeps
   * what it takes.
   */
  #takeLarger(size: number, unusedIn: number | undefined): PooledBuffer | undefined {
    if (size < LEAST_LARGE || this.#reserve) return undefined;
    if (this.#use.pooled <= this.#mostPooled(this.#use.live + size)) return undefined;
    const larger = [...this.#free.keys()].filter((bytes) => bytes > size && bytes <= 2 * size);
    for (const bytes of larger.sort((a, b) => a - b)) {
      const buffer = takeFree(this.#free, bytes, unusedIn);
      if (buffer) return buffer;
    }
    return undefined;
  }

  /**
   * What `body` takes and gives back stays out of the pool, so that its commands can be done again with the same
   * buffers. Returns these; they count as live until they are released. `held`: those that it did not give back.
   */
  reserve<T>(body: () => T): { result: T; reserved: PooledBuffer[]; held: PooledBuffer[] } {
    const reserve: Reserve = { taken: new Set(), free: new Map() };
    const reserved = () => [...reserve.free.values()].flat();
    this.#reserve = reserve;
    try {
      const result = body();
      const free = new Set(reserved());
      const held = [...reserve.taken].filter((buffer) => !free.has(buffer));
      return { result, reserved: [...free], held };
    } catch (error) {
      this.#reserve = null;
      for (const buffer of reserved()) this.release(buffer);
      throw error;
    } finally {
      this.#reserve = null;
    }
  }

  /** Did the body of the `reserve` under way take it? */
  isReserved(buffer: PooledBuffer): boolean {
    return this.#reserve?.taken.has(buffer) ?? false;
  }

  /** Destroys what was evicted, once the recording that used it has been submitted. */
  afterSubmit(): void {
    for (const buffer of this.#doomed.splice(0)) {
      this.#onDestroy(buffer);
      buffer.raw.destroy();
    }
  }

  #evictOldest(): void {
    let oldest: PooledBuffer | undefined;
    for (const list of this.#free.values()) {
      for (const buffer of list) {
        if (!oldest || buffer.releasedAt < oldest.releasedAt) oldest = buffer;
      }
    }
    if (oldest) this.#evict(oldest);
  }

  #evict(buffer: PooledBuffer): void {
    const list = this.#free.get(buffer.bytes) ?? [];
    list.splice(list.indexOf(buffer), 1);
    this.#use.pooled -= buffer.bytes;
    this.#doomed.push(buffer);
  }

  #create(size: number, purpose: string): PooledBuffer {
    const { live, pooled } = this.#use;
    this.#gpu.pushErrorScope('out-of-memory');
    const raw = this.#gpu.createBuffer({
      label: purpose,
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    const buffer = {
      raw,
      bytes: size,
      id: this.#nextId++,
      asked: size,
      lastRecording: 0,
      lives: 0,
      releasedAt: 0,
    };
    this.#gpu.popErrorScope().then(
      (error) => {
        if (error) this.#outOfMemory(buffer, outOfMemory(purpose, size, live, pooled));
      },
      () => {}, // the device was lost; `Device` reports that
    );
    return buffer;
  }

  /** A buffer that got no memory must not come back from the pool, and unused ones make room for the next try. */
  #outOfMemory(buffer: PooledBuffer, error: HistogradError): void {
    this.#failed.add(buffer);
    for (const list of [...this.#free.values()]) for (const free of [...list]) this.#evict(free);
    this.#onError(error);
  }
}

/**
 * The free buffer that was made first: equal steps get equal buffers, and so find their bind groups
 * again (`Pipelines`).
 */
function takeFree(
  free: FreeLists,
  size: number,
  unusedIn: number | undefined,
): PooledBuffer | undefined {
  const list = free.get(size) ?? [];
  const index = list.findIndex((b) => b.lastRecording !== unusedIn);
  return index < 0 ? undefined : list.splice(index, 1)[0];
}

function putFree(free: FreeLists, buffer: PooledBuffer): void {
  const list = free.get(buffer.bytes) ?? [];
  free.set(buffer.bytes, list);
  const after = list.findIndex(({ id }) => id > buffer.id);
  list.splice(after < 0 ? list.length : after, 0, buffer);
}
