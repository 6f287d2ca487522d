/**
 * The GPU as the engine uses it: one queue, one recording at a time, one owner of buffers.
 *
 * `run` records a dispatch; `flush` submits; `read` waits for a result. All dispatches go into one
 * compute pass of one command encoder until something has to be waited for (WebGPU orders
 * dispatches within a pass, so that costs no barrier of ours). `record` keeps what a step did, to be
 * done again.
 *
 * Nothing here throws late and unseen: errors the GPU reports asynchronously (validation, memory,
 * loss) are kept and thrown at the next `read` or `sync`.
 */

import { untilDone } from '#platform';
import { HistogradError } from '../errors.ts';
import {
  type AdapterClass,
  type AdapterRequest,
  type ChosenAdapter,
  chooseAdapter,
} from './adapter.ts';
import { BINDING_ALIGNMENT, BufferPool, type MemoryUse, type PooledBuffer } from './buffer-pool.ts';
import { type ChosenTuning, chooseTuning } from './choose-tuning.ts';
import {
  deviceLost,
  fromGpuError,
  noDevice,
  outOfMemory,
  tooManyWorkgroups,
} from './gpu-errors.ts';
import { entryPoint, type Kernel, type ParamValue, packParams } from './kernel.ts';
import { chooseMatrixUnit, MATRIX_FEATURE, type MatrixUnit } from './matrix-unit.ts';
import { type Pack, ParameterRing } from './parameter-ring.ts';
import { type Binding, boundBuffer, boundBytes, Pipelines, requireBound } from './pipelines.ts';
import { dryRun, isRecording, Recording, record } from './recording.ts';
import { Staging } from './staging.ts';
import { SubmissionLimit, type SubmissionOptions, workOf } from './submission-limit.ts';
import { TexelCopies, type TexelCopy } from './texel-copies.ts';
import type { Tuning } from './tuning.ts';
import type { TuningName } from './tunings.ts';

type Params = Readonly<Record<string, ParamValue>>;

export interface DispatchRequest {
  /** Buffers, or parts of them, by the name of the WGSL variable. */
  buffers: Readonly<Record<string, Binding>>;
  /** What is read as textures, by the name of the WGSL variable (`texel-copies.ts`). */
  texels?: Readonly<Record<string, Binding>>;
  /** By the names of the WGSL's fields; as a function where they change from step to step (`recording.ts`). */
  params?: Params | (() => Params);
  overrides?: Readonly<Record<string, number | boolean>>;
  /** Workgroups: a count (folded to two dimensions when large) or `[x, y, z]`. */
  groups: number | readonly [number, number, number];
  /** Floating-point operations, about, where they take longer than reading what is bound (`submission-limit.ts`). */
  flops?: number;
}

export interface DeviceOptions extends SubmissionOptions {
  adapter?: AdapterRequest;
  /** Ask for WebGPU's default limits instead of all the adapter offers; to test what fits everywhere. */
  defaultLimits?: boolean;
  /**
   * Kernels as tuned for another kind of adapter, or by the caller's own numbers, instead of the adapter's own
   * (`choose-tuning.ts`).
   */
  tuning?: TuningName | Tuning;
  /** Bytes that one binding may span, if less than the adapter allows; to test the splitting of large tensors on small ones. */
  bindingBytes?: number;
  /** Instead of the adapter's own matrix unit; null: none. To compare with and without, and to test emulated ones. */
  matrixUnit?: MatrixUnit | null;
}

/** A dispatch with everything found that it needs. */
interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  /** By chunk of the parameter ring, where it was in that already. */
  readonly bindGroups: Map<number, GPUBindGroup>;
  bind(chunk: number): GPUBindGroup;
  readonly groups: readonly [number, number, number];
  readonly buffers: readonly PooledBuffer[];
  /** Made just before. */
  readonly copies: readonly TexelCopy[];
  readonly paramBytes: number;
  readonly pack: Pack;
  /** See `workOf`. */
  readonly work: number;
}

/** While kernels are compiled ahead. */
interface Ahead {
  readonly compiling: Promise<void>[];
  /** What the dispatches that were left out would have written. */
  readonly skipped: Set<PooledBuffer>;
}

const FEATURES: readonly string[] = ['shader-f16', 'subgroups', 'timestamp-query', MATRIX_FEATURE];
/** Limits worth having more of; the others stay at WebGPU's defaults. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
  'maxTextureDimension2D',
] as const;

type Limits = Readonly<
  Record<(typeof LIMITS)[number] | 'maxComputeWorkgroupsPerDimension', number>
>;

function limitsOf({ limits }: GPUDevice): Limits {
  return {
    maxBufferSize: limits.maxBufferSize,
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    maxTextureDimension2D: limits.maxTextureDimension2D,
    maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
  };
}

export class Device {
  readonly adapter: ChosenAdapter;
  readonly raw: GPUDevice;
  /** Which class of adapter kernels are tuned for. */
  readonly class: AdapterClass;
  readonly tuning: Tuning;
  readonly chosenTuning: ChosenTuning;
  /** Lanes of a subgroup where the adapter has exactly one size and can shuffle, else 0. */
  readonly subgroupSize: number;
  /** The matrix unit (tensor cores) where the adapter has one that kernels are written for; used as a GPU only (`class`). */
  readonly matrixUnit: MatrixUnit | null;
  /** Bytes that one binding may span; kernels see larger tensors in parts. */
  readonly bindingBytes: number;
  /** Read once, because asking the GPU costs as much as a dispatch. */
  readonly limits: Limits;
  readonly #pool: BufferPool;
  readonly #ring: ParameterRing;
  readonly #pipelines: Pipelines;
  readonly #staging: Staging;
  readonly #texels: TexelCopies;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  /** Set in the pass already. */
  #pipeline: GPUComputePipeline | null = null;
  #recording = 1;
  #failure: HistogradError | null = null;
  /** Reads and syncs under way: a failed submission spoils all of them. */
  #waiting = 0;
  #lost: HistogradError | null = null;
  #closed = false;
  /** Buffers used by the step being recorded. */
  #used: Set<PooledBuffer> | null = null;
  #ahead: Ahead | null = null;
  #dispatches = 0;
  #submissions = 0;
  readonly #limit: SubmissionLimit;

  static async open(options: DeviceOptions = {}): Promise<Device> {
    const chosen = await chooseAdapter(options.adapter);
    const { adapter } = chosen;
    const tuning = await chooseTuning(chosen, options.tuning);
    const requiredLimits: Record<string, number> = {};
    if (!options.defaultLimits)
      for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
    const raw = await adapter
      .requestDevice({
        label: 'histograd',
        requiredFeatures: FEATURES.filter((f): f is GPUFeatureName => adapter.features.has(f)),
        requiredLimits,
      })
      .catch((cause: unknown) => {
        throw noDevice(chosen.name, cause);
      });
    return new Device(chosen, raw, tuning, options);
  }

  private constructor(
    chosen: ChosenAdapter,
    raw: GPUDevice,
    tuning: ChosenTuning,
    options: DeviceOptions,
  ) {
    this.adapter = chosen;
    this.raw = raw;
    this.chosenTuning = tuning;
    this.tuning = tuning.tuning;
    this.class = this.tuning.class;
    this.limits = limitsOf(raw);
    const { maxStorageBufferBindingSize } = this.limits;
    const most = Math.min(options.bindingBytes ?? Infinity, maxStorageBufferBindingSize);
    this.bindingBytes = most - (most % BINDING_ALIGNMENT); // kernels read whole vec4s to its end
    const { subgroupMinSize, subgroupMaxSize } = chosen.adapter.info;
    const shuffles = raw.features.has('subgroups') && subgroupMinSize === subgroupMaxSize;
    this.subgroupSize = shuffles ? (subgroupMinSize ?? 0) : 0;
    const ownUnit = chooseMatrixUnit(raw.features, chosen.adapter.info).unit;
    this.matrixUnit = options.matrixUnit === undefined ? ownUnit : options.matrixUnit;
    this.#limit = new SubmissionLimit(chosen.class, options);
    this.#pool = new BufferPool(
      raw,
      (error) => this.#fail(error),
      (buffer) => this.#pipelines.forget(buffer),
    );
    this.#ring = new ParameterRing(raw);
    this.#staging = new Staging(raw);
    this.#texels = new TexelCopies(raw, (bytes) => {
      const { live, pooled } = this.memory;
      this.#fail(outOfMemory('a copy of an operand', bytes, live, pooled));
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

  get memory(): Readonly<MemoryUse> {
    const use = this.#pool.use;
    return { ...use, pooled: use.pooled + this.#texels.bytes };
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
    const limit = this.limits.maxComputeWorkgroupsPerDimension;
    if (groups[0] > limit || groups[1] > limit || groups[2] > limit)
      throw tooManyWorkgroups(kernel.name, groups, limit);
    const { params: layout, storage, texels } = interface_;
    const { params = {} } = request;
    if (this.#ahead) {
      this.#ahead.compiling.push(this.#pipelines.compile(kernel, entry, request.overrides ?? {}));
      const written = storage.filter(({ writable }) => writable);
      for (const { name } of written) this.#ahead.skipped.add(boundBuffer(request.buffers[name]!));
      return;
    }
    const { buffers } = request;
    const paramBytes = layout?.bytes ?? 0;
    const bytes = storage.reduce((sum, { name }) => sum + boundBytes(buffers[name]), 0);
    const work = workOf(request.flops ?? 0, bytes);
    const pipeline = this.#pipelines.pipeline(kernel, entry, request.overrides ?? {});
    const read = texels.map(({ name }) => requireBound(kernel, entry, request.texels ?? {}, name));
    const { copies, textures } = this.#texels.copiesOf(read);
    const bind = (chunk: number) =>
      this.#pipelines.bindGroup(kernel, entry, pipeline, buffers, textures, chunk);
    const chunk = this.#makeRoom(paramBytes, work);
    const dispatch: Dispatch = {
      pipeline: pipeline.raw,
      bindGroups: new Map([[chunk, bind(chunk)]]),
      bind,
      groups,
      buffers: [
        ...storage.map(({ name }) => boundBuffer(buffers[name]!)),
        ...copies.map(({ from }) => boundBuffer(from)),
      ],
      copies,
      paramBytes,
      work,
      pack(view, at) {
        const values = typeof params === 'function' ? params() : params;
        if (layout) packParams(kernel, layout, values, view, at);
      },
    };
    const at = this.#dispatch(dispatch);
    if (isRecording()) {
      const own = Object.entries(request.overrides ?? {}).map(
        ([name, value]) => `${name}=${value}`,
      );
      const what = `${[`${kernel.name}/${entry}`, ...own].join(' ')} of ${groups.join(' x ')} workgroups`;
      this.#recordDispatch(what, dispatch, typeof params === 'function' ? null : at);
    }
  }

  /** @param at where in the ring its parameters are, when replays repeat them */
  #recordDispatch(what: string, dispatch: Dispatch, at: number | null): void {
    const fixed = at === null ? null : this.#ring.copyOf(at, dispatch.paramBytes);
    const again: Dispatch = fixed
      ? { ...dispatch, pack: (_, to, bytes) => bytes.set(fixed, to) }
      : dispatch;
    const { buffers } = dispatch;
    record(() => ({ what, fixed, buffers, run: () => void this.#dispatch(again) }));
  }

  /** Bytes of the largest operand that a dispatch can read as a texture. */
  get texelBytes(): number {
    return this.#texels.mostBytes;
  }

  /** Workgroup counts per dimension are limited: folds a long row of them into a rectangle. */
  fold(count: number): readonly [number, number, number] {
    const limit = this.limits.maxComputeWorkgroupsPerDimension;
    if (count <= limit) return [count, 1, 1];
    const y = Math.ceil(count / limit);
    return [Math.ceil(count / y), y, 1];
  }

  /** Copies `data` into `buffer`. Work recorded earlier still sees the old content. */
  write(buffer: PooledBuffer, data: ArrayBufferView<ArrayBuffer>): void {
    this.#throwIfLost();
    if (this.#skips(buffer)) return;
    // A queue write runs before the still unsubmitted recording; do not overtake its readers.
    if (buffer.lastRecording === this.#recording) this.flush();
    if (data.byteLength > 0) this.raw.queue.writeBuffer(buffer.raw, 0, data);
    this.#encoder ??= this.#newEncoder(); // unsubmitted writes are never freed: make sure one follows
    record(() => {
      const fixed = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
      return {
        what: `a write of ${fixed.length} B`,
        fixed,
        buffers: [buffer],
        run: () => this.write(buffer, fixed),
      };
    });
  }

  /** Copies between buffers (4-byte multiples). */
  copy(from: PooledBuffer, to: PooledBuffer, bytes: number): void {
    this.#throwIfLost();
    if (this.#skips(to, this.#ahead?.skipped.has(from))) return;
    this.#use(from);
    this.#use(to);
    this.#closePass().copyBufferToBuffer(from.raw, 0, to.raw, 0, bytes);
    record(() => ({
      what: `a copy of ${bytes} B`,
      fixed: null,
      buffers: [from, to],
      run: () => this.copy(from, to, bytes),
    }));
  }

  /** Sets all of `buffer` to zero. */
  clear(buffer: PooledBuffer): void {
    this.#throwIfLost();
    if (this.#skips(buffer)) return;
    this.#use(buffer);
    this.#closePass().clearBuffer(buffer.raw);
    record(() => ({
      what: `zeros of ${buffer.asked} B`,
      fixed: null,
      buffers: [buffer],
      run: () => this.clear(buffer),
    }));
  }

  /**
   * Runs `body`, and keeps what it did to be done again. The buffers that it used in between stay reserved, and
   * count as live, until the caller releases them.
   */
  record<T>(body: () => T): { result: T; recording: Recording; reserved: PooledBuffer[] } {
    const recording = new Recording();
    this.#used = new Set();
    try {
      const { result, reserved, held } = this.#pool.reserve(() => recording.during(body));
      for (const buffer of reserved) this.#used.delete(buffer);
      recording.borrow(this.#used, held);
      return { result, recording, reserved };
    } finally {
      this.#used = null;
    }
  }

  /**
   * Compiles the kernels that `body` will run, aside and several at a time, so that its first run stalls nobody. Nothing of
   * it is computed: what was there before stays as it is, with counts of steps and draws, and `body` must leave nothing behind
   * that a kernel would have written.
   *
   * @throws HistogradError `compile-ahead` when it does, and from what in it reads a result; what `body` throws
   */
  async compileAhead(body: () => void): Promise<void> {
    this.#throwIfLost();
    const ahead: Ahead = { compiling: [], skipped: new Set() };
    this.#ahead = ahead;
    try {
      const { reserved, held } = this.#pool.reserve(() => dryRun(body));
      for (const buffer of reserved) this.#pool.release(buffer);
      if (held.some((buffer) => ahead.skipped.has(buffer))) {
        throw neverComputed('keeps');
      }
    } finally {
      this.#ahead = null;
    }
    await Promise.all(ahead.compiling);
  }

  /** Whether something is not to be written to a buffer: amid `compileAhead`, if it is not known or the buffer was there before. */
  #skips(buffer: PooledBuffer, unknown = false): boolean {
    if (!this.#ahead) return false;
    const { skipped } = this.#ahead;
    const skips = unknown || !this.#pool.isReserved(buffer);
    if (skips) skipped.add(buffer);
    else skipped.delete(buffer);
    return skips;
  }

  /** Submits what is recorded; does not wait. */
  flush(): void {
    if (!this.#encoder) return;
    const encoder = this.#closePass();
    this.#encoder = null;
    this.#recording++;
    this.#limit.reset();
    if (this.#lost) return;
    this.#ring.upload();
    this.raw.queue.submit([encoder.finish()]);
    this.#submissions++;
    this.#pool.afterSubmit();
  }

  /** Waits for all work; throws what went wrong meanwhile. */
  async sync(): Promise<void> {
    this.#waiting++;
    this.flush();
    await this.#untilDone(this.raw.queue.onSubmittedWorkDone()).catch(() => {});
    await this.#settle();
  }

  /** The first `bytes` of `buffer`, after all recorded work. */
  async read(buffer: PooledBuffer, bytes: number): Promise<ArrayBuffer> {
    this.#throwIfLost();
    if (this.#ahead?.skipped.has(buffer)) throw neverComputed('reads');
    this.#waiting++;
    const staging = this.#staging.take(bytes);
    this.#use(buffer);
    const padded = Math.ceil(bytes / 4) * 4;
    if (padded > 0) this.#closePass().copyBufferToBuffer(buffer.raw, 0, staging, 0, padded);
    this.flush();
    try {
      await this.#untilDone(staging.mapAsync(GPUMapMode.READ));
    } catch (cause) {
      // The notice that the device was lost may come a little later than the failure it caused.
      await Promise.race([this.raw.lost, new Promise((resolve) => setTimeout(resolve, 200))]);
      await this.#settle();
      throw fromGpuError(cause instanceof Error ? cause : new Error(String(cause)));
    }
    const data = staging.getMappedRange(0, padded).slice(0, bytes);
    staging.unmap();
    this.#staging.giveBack(staging);
    await this.#settle();
    return data;
  }

  #untilDone<T>(work: Promise<T>): Promise<T> {
    return this.adapter.class === 'cpu' ? untilDone(work) : work;
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
    const handle: PooledBuffer = {
      raw: result,
      bytes: 16,
      asked: 16,
      id: -1,
      lastRecording: 0,
      lives: 0,
      releasedAt: 0,
    };
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
    this.#pipeline = null;
    this.#encoder ??= this.#newEncoder();
    return this.#encoder;
  }

  #use(buffer: PooledBuffer): void {
    buffer.lastRecording = this.#recording;
    this.#used?.add(buffer);
  }

  /** Submits first where there is no more room. Returns the chunk of the ring that the parameters of the next dispatch go to. */
  #makeRoom(paramBytes: number, work: number): number {
    if (!this.#limit.fits(work) || !this.#ring.fits(paramBytes)) this.flush();
    return this.#ring.chunkFor(paramBytes);
  }

  /** Returns where in the ring the parameters went. */
  #dispatch(dispatch: Dispatch): number {
    const { pipeline, bindGroups, groups, buffers, copies, paramBytes, pack, work } = dispatch;
    const chunk = this.#makeRoom(paramBytes, work);
    let bindGroup = bindGroups.get(chunk);
    if (!bindGroup) {
      bindGroup = dispatch.bind(chunk);
      bindGroups.set(chunk, bindGroup);
    }
    const at = this.#ring.add(paramBytes, pack);
    for (const buffer of buffers) this.#use(buffer);
    if (copies.length > 0) {
      const encoder = this.#closePass();
      for (const copy of copies) this.#texels.record(encoder, copy);
    }
    const pass = this.#openPass();
    // Each call into the driver counts: three of them are most of what a replayed dispatch costs.
    if (pipeline !== this.#pipeline) pass.setPipeline(pipeline);
    this.#pipeline = pipeline;
    if (paramBytes > 0) pass.setBindGroup(0, bindGroup, [at]);
    else pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(groups[0], groups[1], groups[2]);
    this.#dispatches++;
    this.#limit.add(work);
    return at;
  }
}

function neverComputed(does: 'keeps' | 'reads'): HistogradError {
  return new HistogradError(
    'compile-ahead',
    `What was run to compile its kernels ${does} a result, which was never computed.`,
    'Dispose of all it makes, or do without compileAhead.',
  );
}
