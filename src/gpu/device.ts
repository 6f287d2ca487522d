/**
 * The GPU as the engine uses it: one queue, one recording at a time, one owner of buffers.
 *
 * `run` records a dispatch; `flush` submits; `read` waits for a result. All dispatches go into one
 * compute pass of one command encoder until something has to be waited for (WebGPU orders
 * dispatches within a pass, so that costs no barrier of ours). Parameters of a whole recording are
 * uploaded in one write, and bound by dynamic offset.
 *
 * Nothing here throws late and unseen: errors the GPU reports asynchronously (validation, memory,
 * loss) are kept and thrown at the next `read` or `sync`.
 */
import { HistogradError } from '../errors.ts';
import {
  type AdapterClass,
  type AdapterRequest,
  type ChosenAdapter,
  chooseAdapter,
} from './adapter.ts';
import { BINDING_ALIGNMENT, BufferPool, type MemoryUse, type PooledBuffer } from './buffer-pool.ts';
import { deviceLost, fromGpuError, noDevice, tooManyWorkgroups } from './gpu-errors.ts';
import { entryPoint, type Kernel, type ParamValue, packParams } from './kernel.ts';
import { type Binding, boundBuffer, Pipelines } from './pipelines.ts';

export interface DispatchRequest {
  /** Buffers, or parts of them, by the name of the WGSL variable. */
  buffers: Readonly<Record<string, Binding>>;
  params?: Readonly<Record<string, ParamValue>>;
  overrides?: Readonly<Record<string, number | boolean>>;
  /** Workgroups: a count (folded to two dimensions when large) or `[x, y, z]`. */
  groups: number | readonly [number, number, number];
}

export interface DeviceOptions {
  adapter?: AdapterRequest;
  /** Ask for WebGPU's default limits instead of all the adapter offers; to test what fits everywhere. */
  defaultLimits?: boolean;
  /** Kernels as tuned for this class of adapter, instead of the adapter's own; to test both anywhere. */
  tuning?: AdapterClass;
  /** Bytes that one binding may span, if less than the adapter allows; to test the splitting of large tensors on small ones. */
  bindingBytes?: number;
}

const RING_BYTES = 256 * 1024;
const FEATURES: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];
/** Limits worth having more of; the others stay at WebGPU's defaults. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
] as const;

export class Device {
  readonly adapter: ChosenAdapter;
  readonly raw: GPUDevice;
  readonly class: AdapterClass;
  /** Lanes of a subgroup where the adapter has exactly one size and can shuffle, else 0. */
  readonly subgroupSize: number;
  /** Bytes that one binding may span; kernels see larger tensors in parts. */
  readonly bindingBytes: number;
  readonly #pool: BufferPool;
  readonly #ring: GPUBuffer;
  readonly #ringBytes = new Uint8Array(RING_BYTES);
  readonly #ringView = new DataView(this.#ringBytes.buffer);
  readonly #align: number;
  readonly #pipelines: Pipelines;
  readonly #staging: GPUBuffer[] = [];
  #ringUsed = 0;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  #recording = 1;
  #failure: HistogradError | null = null;
  /** Reads and syncs under way: a failed submission spoils all of them. */
  #waiting = 0;
  #lost: HistogradError | null = null;
  #closed = false;
  #dispatches = 0;
  #submissions = 0;

  static async open(options: DeviceOptions = {}): Promise<Device> {
    const chosen = await chooseAdapter(options.adapter);
    const { adapter } = chosen;
    const requiredLimits: Record<string, number> = {};
    if (!options.defaultLimits)
      for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
    const raw = await adapter
      .requestDevice({
        label: 'histograd',
        requiredFeatures: FEATURES.filter((f) => adapter.features.has(f)),
        requiredLimits,
      })
      .catch((cause: unknown) => {
        throw noDevice(chosen.name, cause);
      });
    return new Device(chosen, raw, options);
  }

  private constructor(chosen: ChosenAdapter, raw: GPUDevice, options: DeviceOptions) {
    this.adapter = chosen;
    this.raw = raw;
    this.class = options.tuning ?? chosen.class;
    const { maxStorageBufferBindingSize } = raw.limits;
    const most = Math.min(options.bindingBytes ?? Infinity, maxStorageBufferBindingSize);
    this.bindingBytes = most - (most % BINDING_ALIGNMENT); // kernels read whole vec4s to its end
    const { subgroupMinSize, subgroupMaxSize } = chosen.adapter.info;
    const shuffles = raw.features.has('subgroups') && subgroupMinSize === subgroupMaxSize;
    this.subgroupSize = shuffles ? (subgroupMinSize ?? 0) : 0;
    this.#align = raw.limits.minUniformBufferOffsetAlignment;
    this.#pool = new BufferPool(
      raw,
      (error) => this.#fail(error),
      (buffer) => this.#pipelines.forget(buffer),
    );
    this.#ring = raw.createBuffer({
      label: 'parameters',
      size: RING_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    this.#pipelines = new Pipelines(raw, this.#ring, this.bindingBytes, (error) =>
      this.#fail(error),
    );
    raw.addEventListener('uncapturederror', (event) => {
      event.preventDefault();
      this.#fail(fromGpuError(event.error));
    });
    raw.lost.then((info) => {
      if (!this.#closed) this.#lost = deviceLost(info.message || info.reason);
    });
  }

  get features(): ReadonlySet<string> {
    return this.raw.features;
  }

  get limits(): GPUSupportedLimits {
    return this.raw.limits;
  }

  get memory(): Readonly<MemoryUse> {
    return this.#pool.use;
  }

  /** Dispatches and submissions so far, and bind groups kept now. */
  get counts(): { dispatches: number; submissions: number; bindGroups: number } {
    const bindGroups = this.#pipelines.bindGroupCount;
    return { dispatches: this.#dispatches, submissions: this.#submissions, bindGroups };
  }

  acquire(bytes: number, purpose: string): PooledBuffer {
    this.#throwIfLost();
    return this.#pool.acquire(bytes, purpose);
  }

  /** A buffer that `write` can fill without submitting the recording first. */
  acquireForWrite(bytes: number, purpose: string): PooledBuffer {
    this.#throwIfLost();
    return this.#pool.acquire(bytes, purpose, this.#recording);
  }

  release(buffer: PooledBuffer): void {
    this.#pool.release(buffer);
  }

  /** Records one dispatch of `kernel`'s entry point. */
  run(kernel: Kernel, entry: string, request: DispatchRequest): void {
    this.#throwIfLost();
    const interface_ = entryPoint(kernel, entry);
    const groups = typeof request.groups === 'number' ? this.fold(request.groups) : request.groups;
    if (groups[0] * groups[1] * groups[2] === 0) return;
    const limit = this.raw.limits.maxComputeWorkgroupsPerDimension;
    if (Math.max(...groups) > limit) throw tooManyWorkgroups(kernel.name, groups, limit);
    const paramBytes = interface_.params?.bytes ?? 0;
    if (this.#ringUsed + paramBytes > RING_BYTES) this.flush();
    const pipeline = this.#pipelines.pipeline(kernel, entry, request.overrides ?? {});
    const offsets: number[] = [];
    if (interface_.params) {
      packParams(kernel, interface_.params, request.params ?? {}, this.#ringView, this.#ringUsed);
      offsets.push(this.#ringUsed);
      this.#ringUsed = Math.ceil((this.#ringUsed + paramBytes) / this.#align) * this.#align;
    }
    const bindGroup = this.#pipelines.bindGroup(kernel, entry, pipeline, request.buffers);
    for (const { name } of interface_.storage) this.#use(boundBuffer(request.buffers[name]!));
    const pass = this.#openPass();
    pass.setPipeline(pipeline.raw);
    pass.setBindGroup(0, bindGroup, offsets);
    pass.dispatchWorkgroups(...groups);
    this.#dispatches++;
  }

  /** Workgroup counts per dimension are limited: folds a long row of them into a rectangle. */
  fold(count: number): readonly [number, number, number] {
    const limit = this.raw.limits.maxComputeWorkgroupsPerDimension;
    if (count <= limit) return [count, 1, 1];
    const y = Math.ceil(count / limit);
    return [Math.ceil(count / y), y, 1];
  }

  /** Copies `data` into `buffer`. Work recorded earlier still sees the old content. */
  write(buffer: PooledBuffer, data: ArrayBufferView<ArrayBuffer>): void {
    this.#throwIfLost();
    // A queue write runs before the still unsubmitted recording; do not overtake its readers.
    if (buffer.lastRecording === this.#recording) this.flush();
    if (data.byteLength > 0) this.raw.queue.writeBuffer(buffer.raw, 0, data);
    this.#encoder ??= this.#newEncoder(); // unsubmitted writes are never freed: make sure one follows
  }

  /** Copies between buffers (4-byte multiples). */
  copy(from: PooledBuffer, to: PooledBuffer, bytes: number): void {
    this.#throwIfLost();
    this.#use(from);
    this.#use(to);
    this.#closePass().copyBufferToBuffer(from.raw, 0, to.raw, 0, bytes);
  }

  /** Sets all of `buffer` to zero. */
  clear(buffer: PooledBuffer): void {
    this.#throwIfLost();
    this.#use(buffer);
    this.#closePass().clearBuffer(buffer.raw);
  }

  /** Submits what is recorded; does not wait. */
  flush(): void {
    if (!this.#encoder) return;
    const encoder = this.#closePass();
    this.#encoder = null;
    this.#recording++;
    if (this.#lost) return;
    if (this.#ringUsed > 0)
      this.raw.queue.writeBuffer(this.#ring, 0, this.#ringBytes, 0, this.#ringUsed);
    this.#ringUsed = 0;
    this.raw.queue.submit([encoder.finish()]);
    this.#submissions++;
    this.#pool.afterSubmit();
  }

  /** Waits for all work; throws what went wrong meanwhile. */
  async sync(): Promise<void> {
    this.#waiting++;
    this.flush();
    await this.raw.queue.onSubmittedWorkDone().catch(() => {});
    await this.#settle();
  }

  /** The first `bytes` of `buffer`, after all recorded work. */
  async read(buffer: PooledBuffer, bytes: number): Promise<ArrayBuffer> {
    this.#throwIfLost();
    this.#waiting++;
    const staging = this.#takeStaging(bytes);
    this.#use(buffer);
    const padded = Math.ceil(bytes / 4) * 4;
    if (padded > 0) this.#closePass().copyBufferToBuffer(buffer.raw, 0, staging, 0, padded);
    this.flush();
    try {
      await staging.mapAsync(GPUMapMode.READ);
    } catch (cause) {
      // The notice that the device was lost may come a little later than the failure it caused.
      await Promise.race([this.raw.lost, new Promise((resolve) => setTimeout(resolve, 200))]);
      await this.#settle();
      throw fromGpuError(cause instanceof Error ? cause : new Error(String(cause)));
    }
    const data = staging.getMappedRange(0, padded).slice(0, bytes);
    staging.unmap();
    if (this.#staging.length < 4) this.#staging.push(staging);
    else staging.destroy();
    await this.#settle();
    return data;
  }

  /** GPU time of what `work` records, in seconds; null where the adapter has no timestamps. */
  async time(work: () => void): Promise<number | null> {
    if (!this.raw.features.has('timestamp-query')) return null;
    this.flush();
    const querySet = this.raw.createQuerySet({ type: 'timestamp', count: 2 });
    // The work may take several passes, or none: empty ones before and behind it write the times.
    const mark = (timestampWrites: GPUComputePassTimestampWrites) => {
      const encoder = this.#closePass();
      encoder.beginComputePass({ timestampWrites }).end();
      return encoder;
    };
    mark({ querySet, beginningOfPassWriteIndex: 0 });
    work();
    const encoder = mark({ querySet, endOfPassWriteIndex: 1 });
    const result = this.raw.createBuffer({
      size: 16,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    encoder.resolveQuerySet(querySet, 0, 2, result, 0);
    const handle: PooledBuffer = { raw: result, bytes: 16, asked: 16, id: -1, lastRecording: 0 };
    const [begin, end] = new BigUint64Array(await this.read(handle, 16));
    result.destroy();
    querySet.destroy();
    return Number(end! - begin!) * 1e-9;
  }

  /** Ends the device; its tensors are gone. */
  close(): void {
    this.#closed = true;
    this.#lost = new HistogradError(
      'device-closed',
      'The device was closed.',
      'Open a new one with Device.open().',
    );
    this.raw.destroy();
  }

  #throwIfLost(): void {
    if (this.#lost) throw this.#lost;
  }

  async #settle(): Promise<void> {
    // An error scope's answer, and the notice of a lost device, may arrive a turn after the result.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const failure = this.#failure;
    if (--this.#waiting === 0) this.#failure = null;
    this.#throwIfLost();
    if (failure) throw failure;
  }

  /** Keeps the first error, but rather the cause than what followed from it. */
  #fail(error: HistogradError): void {
    if (!this.#failure || this.#failure.code === 'gpu-error') this.#failure = error;
  }

  #newEncoder(): GPUCommandEncoder {
    return this.raw.createCommandEncoder({ label: `recording ${this.#recording}` });
  }

  #openPass(): GPUComputePassEncoder {
    this.#encoder ??= this.#newEncoder();
    this.#pass ??= this.#encoder.beginComputePass();
    return this.#pass;
  }

  #closePass(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = null;
    this.#encoder ??= this.#newEncoder();
    return this.#encoder;
  }

  #use(buffer: PooledBuffer): void {
    buffer.lastRecording = this.#recording;
  }

  #takeStaging(bytes: number): GPUBuffer {
    const index = this.#staging.findIndex((b) => b.size >= bytes && b.size <= 4 * bytes + 4096);
    if (index >= 0) return this.#staging.splice(index, 1)[0]!;
    const size = Math.max(1024, 2 ** Math.ceil(Math.log2(bytes + 4)));
    return this.raw.createBuffer({
      label: 'readback',
      size: Math.min(size, this.raw.limits.maxBufferSize),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
  }
}
