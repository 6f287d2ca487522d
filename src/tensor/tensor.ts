/**
 * A tensor: a shape and a dtype over a GPU buffer. Row-major and contiguous; it knows no gradients.
 *
 * Lifetimes are explicit: `scope` frees what a step created, `dispose` frees one tensor, `keep`
 * takes one out of all scopes. Garbage collection frees nothing on a GPU.
 */
import { HistogradError } from '../errors.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import type { Device } from '../gpu/device.ts';
import { everyStep } from '../gpu/recording.ts';
import { adopt } from './scope.ts';

export type Shape = readonly number[];
export type DType = 'f32' | 'u32' | 'i32';
export type TensorData = Float32Array | Uint32Array | Int32Array;

/** A buffer shared by a tensor and its views (`reshape`), given back when the last of them goes. */
export interface Storage {
  readonly buffer: PooledBuffer;
  owners: number;
  /** How often the content was overwritten. */
  version: number;
}

const ARRAYS = { f32: Float32Array, u32: Uint32Array, i32: Int32Array } as const;

export class Tensor {
  readonly device: Device;
  readonly shape: Shape;
  readonly dtype: DType;
  #storage: Storage | null;

  /** Used by the factories below; `storage.owners` must already count this tensor. */
  protected constructor(device: Device, shape: Shape, dtype: DType, storage: Storage) {
    this.device = device;
    this.shape = shape;
    this.dtype = dtype;
    this.#storage = storage;
    adopt(this);
  }

  /** Uninitialised memory: the next kernel must write every element. */
  static empty(device: Device, shape: Shape, dtype: DType = 'f32', purpose = 'tensor'): Tensor {
    const buffer = device.acquire(4 * sizeOf(shape), `${purpose} [${shape.join(', ')}]`);
    return new Tensor(device, [...shape], dtype, { buffer, owners: 1, version: 0 });
  }

  /** A tensor holding a copy of `data`; plain arrays become float32. */
  static from(device: Device, data: TensorData | readonly number[], shape?: Shape): Tensor {
    const typed = isTyped(data) ? data : Float32Array.from(data);
    const dims = shape ?? [typed.length];
    if (sizeOf(dims) !== typed.length) {
      throw new HistogradError(
        'shape',
        `Tensor.from: ${typed.length} values do not fill the shape [${dims.join(', ')}] (${sizeOf(dims)} values).`,
        'Give as many values as the product of the shape.',
      );
    }
    const dtype =
      typed instanceof Float32Array ? 'f32' : typed instanceof Uint32Array ? 'u32' : 'i32';
    const buffer = device.acquireForWrite(4 * typed.length, `tensor [${dims.join(', ')}]`);
    device.write(buffer, onOwnBuffer(typed));
    return new Tensor(device, [...dims], dtype, { buffer, owners: 1, version: 0 });
  }

  static scalar(device: Device, value: number): Tensor {
    return Tensor.from(device, [value], []);
  }

  static zeros(device: Device, shape: Shape): Tensor {
    const tensor = Tensor.empty(device, shape, 'f32', 'zeros');
    device.clear(tensor.buffer);
    return tensor;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get rank(): number {
    return this.shape.length;
  }

  get disposed(): boolean {
    return this.#storage === null;
  }

  get buffer(): PooledBuffer {
    return this.#live().buffer;
  }

  /** How often the memory was overwritten in place: the tape refuses gradients of values that are gone. */
  get version(): number {
    return this.#live().version;
  }

  /** To be called by whoever overwrites the memory with a kernel (an optimiser), as `assign` does itself. */
  bumpVersion(): void {
    const storage = this.#live();
    everyStep(() => {
      storage.version++;
    });
  }

  /** Another tensor over the same memory, with an own lifetime. No gradient passes: `reshape` is for that. */
  view(shape: Shape = this.shape): Tensor {
    return new Tensor(this.device, [...shape], this.dtype, this.share());
  }

  /** Counts one more owner of the memory; whoever calls this must wrap it in a tensor. */
  share(): Storage {
    const storage = this.#live();
    storage.owners++;
    return storage;
  }

  /** Overwrites the values (as many as the tensor has), in place. Not between a loss and its `backward`. */
  assign(data: TensorData): void {
    if (!(data instanceof ARRAYS[this.dtype])) {
      throw new HistogradError(
        'dtype',
        `assign: expected a ${ARRAYS[this.dtype].name} for a ${this.dtype} tensor, found a ${data.constructor.name}.`,
        'Convert the values first.',
      );
    }
    const value = Tensor.from(this.device, data, this.shape);
    this.device.copy(value.buffer, this.buffer, 4 * this.size);
    this.bumpVersion();
    value.dispose();
  }

  /** Reads the values back. Waits for the GPU; throws what went wrong there. */
  async data(): Promise<TensorData> {
    const bytes = await this.device.read(this.buffer, 4 * this.size);
    return new ARRAYS[this.dtype](bytes);
  }

  /** Like `data`, for float32 tensors. */
  async floats(): Promise<Float32Array> {
    const data = await this.data();
    if (data instanceof Float32Array) return data;
    throw new HistogradError(
      'dtype',
      `Expected a float32 tensor, found ${this.dtype}.`,
      'Use data().',
    );
  }

  /** The value of a tensor with one element. */
  async item(): Promise<number> {
    if (this.size !== 1) {
      throw new HistogradError(
        'shape',
        `item() needs a tensor of one element, found [${this.shape.join(', ')}].`,
        'Use data(), or reduce the tensor first.',
      );
    }
    return (await this.data())[0]!;
  }

  dispose(): void {
    const storage = this.#storage;
    if (!storage) return;
    this.#storage = null;
    storage.owners--;
    if (storage.owners === 0) this.device.release(storage.buffer);
  }

  #live(): Storage {
    if (this.#storage) return this.#storage;
    throw new HistogradError(
      'use-after-free',
      `A tensor of shape [${this.shape.join(', ')}] was used after it was freed.`,
      'It was created inside a scope(): return it from there, or keep() it.',
    );
  }
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, n) => product * n, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

function isTyped(data: TensorData | readonly number[]): data is TensorData {
  return ArrayBuffer.isView(data);
}

/** WebGPU takes no SharedArrayBuffer. */
function onOwnBuffer(data: TensorData): ArrayBufferView<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer ? (data as ArrayBufferView<ArrayBuffer>) : data.slice();
}
