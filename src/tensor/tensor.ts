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
import { float16ToFloat32, float32ToFloat16 } from '../half.ts';
import { adopt } from './scope.ts';

export type Shape = readonly number[];
/** 'f16' is a way to store numbers: where the host sees them, they are float32. */
export type DType = 'f32' | 'f16' | 'u32' | 'i32';
export type TensorData = Float32Array | Uint32Array | Int32Array;

/** A buffer shared by a tensor and its views (`reshape`), given back when the last of them goes. */
export interface Storage {
  readonly buffer: PooledBuffer;
  owners: number;
  /** How often the content was overwritten. */
  version: number;
}

const ARRAYS = { f32: Float32Array, f16: Float32Array, u32: Uint32Array, i32: Int32Array } as const;

/** Bytes of an element. */
export function bytesOf(dtype: DType): number {
  return dtype === 'f16' ? 2 : 4;
}

/** Bytes in whole words of 4, as the GPU writes and copies them. */
function bufferBytes(shape: Shape, dtype: DType): number {
  return 4 * Math.ceil((bytesOf(dtype) * sizeOf(shape)) / 4);
}

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
    const extents = checked(shape);
    const buffer = device.acquire(bufferBytes(shape, dtype), `${purpose} [${shape.join(', ')}]`);
    return new Tensor(device, extents, dtype, { buffer, owners: 1, version: 0 });
  }

  /** A tensor holding a copy of `data`; plain arrays become float32. */
  static from(device: Device, data: TensorData | readonly number[], shape?: Shape): Tensor {
    const typed = isTyped(data) ? data : Float32Array.from(data);
    const dtype =
      typed instanceof Float32Array ? 'f32' : typed instanceof Uint32Array ? 'u32' : 'i32';
    return Tensor.#filled(device, onOwnBuffer(typed), typed.length, dtype, shape);
  }

  /**
   * A float16 tensor: of a Uint16Array the bits, of numbers what they are rounded to (nearest, ties to even; infinite
   * from 65,520 on). Works on every adapter; products read it, `cast` converts it.
   */
  static half(
    device: Device,
    values: Uint16Array | Float32Array | readonly number[],
    shape?: Shape,
  ): Tensor {
    const floats = (from: Float32Array | readonly number[]) =>
      from instanceof Float32Array ? from : Float32Array.from(from);
    const bits = values instanceof Uint16Array ? values : float32ToFloat16(floats(values));
    // The GPU takes 4 bytes at a time.
    const whole = bits.length % 2 === 0 ? bits : new Uint16Array(bits.length + 1);
    if (whole !== bits) whole.set(bits);
    return Tensor.#filled(device, onOwnBuffer(whole), bits.length, 'f16', shape);
  }

  static #filled(
    device: Device,
    data: ArrayBufferView<ArrayBuffer>,
    count: number,
    dtype: DType,
    shape: Shape = [count],
  ): Tensor {
    const extents = checked(shape);
    if (sizeOf(shape) !== count) {
      throw new HistogradError(
        'shape',
        `Tensor.${dtype === 'f16' ? 'half' : 'from'}: ${count} values do not fill the shape [${shape.join(', ')}] (${sizeOf(shape)} values).`,
        'Give as many values as the product of the shape.',
      );
    }
    const buffer = device.acquireForWrite(data.byteLength, `tensor [${shape.join(', ')}]`);
    device.write(buffer, data);
    return new Tensor(device, extents, dtype, { buffer, owners: 1, version: 0 });
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

  /** What the values take in memory, in whole words of 4 bytes. */
  get bytes(): number {
    return bufferBytes(this.shape, this.dtype);
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
    everyStep(
      () => {
        storage.version++;
      },
      () => {
        storage.version--;
      },
    );
  }

  /** Another tensor over the same memory, with an own lifetime. No gradient passes: `reshape` is for that. */
  view(shape: Shape = this.shape): Tensor {
    return new Tensor(this.device, checked(shape), this.dtype, this.share());
  }

  /** Counts one more owner of the memory; whoever calls this must wrap it in a tensor. */
  share(): Storage {
    const storage = this.#live();
    storage.owners++;
    return storage;
  }

  /** Overwrites the values (as many as the tensor has; float16 takes a Float32Array), in place. Not between a loss and its `backward`. */
  assign(data: TensorData): void {
    if (!(data instanceof ARRAYS[this.dtype])) {
      throw new HistogradError(
        'dtype',
        `assign: expected a ${ARRAYS[this.dtype].name} for a ${this.dtype} tensor, found a ${data.constructor.name}.`,
        'Convert the values first.',
      );
    }
    const value =
      this.dtype === 'f16' && data instanceof Float32Array
        ? Tensor.half(this.device, data, this.shape)
        : Tensor.from(this.device, data, this.shape);
    this.device.copy(value.buffer, this.buffer, this.bytes);
    this.bumpVersion();
    value.dispose();
  }

  /** Reads the values back, float16 as float32. Waits for the GPU; throws what went wrong there. */
  async data(): Promise<TensorData> {
    const bytes = await this.device.read(this.buffer, bytesOf(this.dtype) * this.size);
    if (this.dtype === 'f16') return float16ToFloat32(new Uint16Array(bytes));
    return new ARRAYS[this.dtype](bytes);
  }

  /** Like `data`, for float32 and float16 tensors. */
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

/** A copy, of whole extents from 0. */
function checked(shape: Shape): Shape {
  for (const extent of shape) {
    if (Number.isSafeInteger(extent) && extent >= 0) continue;
    throw new HistogradError(
      'shape',
      `A tensor cannot have the shape [${shape.join(', ')}].`,
      'Extents are whole numbers from 0.',
    );
  }
  return [...shape];
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

function isTyped(data: TensorData | readonly number[]): data is TensorData {
  return ArrayBuffer.isView(data);
}

/** WebGPU takes no SharedArrayBuffer. */
function onOwnBuffer(data: TensorData | Uint16Array): ArrayBufferView<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer ? (data as ArrayBufferView<ArrayBuffer>) : data.slice();
}
