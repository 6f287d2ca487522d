/** Pipelines and bind groups, each made once: making one costs up to ten times what a dispatch does. */
import { HistogradError } from '../errors.ts';
import type { BufferRange, PooledBuffer } from './buffer-pool.ts';
import { invalidKernel, tensorTooLarge } from './gpu-errors.ts';
import { entryPoint, type Kernel, reflect } from './kernel.ts';
import type { ParameterRing } from './parameter-ring.ts';
import type { TexelTexture } from './texel-copies.ts';

interface Pipeline {
  readonly raw: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly id: number;
}

type Overrides = Readonly<Record<string, number | boolean>>;
type Constants = Readonly<Record<string, number>>;

export type Binding = PooledBuffer | BufferRange;

export function boundBuffer(binding: Binding): PooledBuffer {
  return 'buffer' in binding ? binding.buffer : binding;
}

/** Bytes that a dispatch sees of it. */
export function boundBytes(binding: Binding | undefined): number {
  if (!binding) return 0;
  return 'buffer' in binding ? binding.bytes : binding.asked;
}

interface BindGroup {
  readonly raw: GPUBindGroup;
  readonly buffers: readonly number[];
}

/**
 * Bind groups kept. Each holds memory of the driver (on lavapipe a mapping of its own, of which a process
 * has 65,530), so that those not used for longest make way.
 */
const MOST_BIND_GROUPS = 4096;

export class Pipelines {
  readonly #gpu: GPUDevice;
  /** Holds `params`, bound by dynamic offset. */
  readonly #ring: ParameterRing;
  /** Bytes that one binding may span. */
  readonly #bindingBytes: number;
  readonly #onError: (error: HistogradError) => void;
  readonly #pipelines = new Map<string, Pipeline>();
  /** Under way. */
  readonly #compiling = new Map<string, Promise<void>>();
  /** In order of use. */
  readonly #bindGroups = new Map<string, BindGroup>();
  readonly #bindGroupsOf = new Map<number, Set<string>>();

  constructor(
    gpu: GPUDevice,
    ring: ParameterRing,
    bindingBytes: number,
    onError: (error: HistogradError) => void,
  ) {
    this.#gpu = gpu;
    this.#ring = ring;
    this.#bindingBytes = bindingBytes;
    this.#onError = onError;
  }

  /** The pipeline of an entry point with these overrides; compiled once. */
  pipeline(kernel: Kernel, entry: string, overrides: Overrides): Pipeline {
    const key = keyOf(kernel, entry, overrides);
    const found = this.#pipelines.get(key);
    if (found) return found;
    const constants = constantsOf(kernel, overrides);
    this.#gpu.pushErrorScope('validation');
    const { layout, descriptor } = this.#describe(kernel, entry, constants);
    const raw = this.#gpu.createComputePipeline(descriptor);
    this.#gpu.popErrorScope().then(
      (error) => {
        if (error) this.#onError(invalidKernel(descriptor.label, overrides, error));
      },
      () => {},
    );
    return this.#keep(key, layout, raw);
  }

  /** Compiles it aside, if it is not there yet. A failure is no failure: whoever needs the pipeline will meet it. */
  compile(kernel: Kernel, entry: string, overrides: Overrides): Promise<void> {
    const key = keyOf(kernel, entry, overrides);
    if (this.#pipelines.has(key)) return Promise.resolve();
    let compiling = this.#compiling.get(key);
    if (!compiling) {
      compiling = this.#compile(key, kernel, entry, constantsOf(kernel, overrides));
      this.#compiling.set(key, compiling);
    }
    return compiling;
  }

  async #compile(key: string, kernel: Kernel, entry: string, constants: Constants): Promise<void> {
    this.#gpu.pushErrorScope('validation');
    const { layout, descriptor } = this.#describe(kernel, entry, constants);
    const made = this.#gpu.createComputePipelineAsync(descriptor);
    this.#gpu.popErrorScope().catch(() => {});
    const raw = await made.catch(() => null);
    this.#compiling.delete(key);
    if (raw && !this.#pipelines.has(key)) this.#keep(key, layout, raw);
  }

  #keep(key: string, layout: GPUBindGroupLayout, raw: GPUComputePipeline): Pipeline {
    const pipeline = { raw, layout, id: this.#pipelines.size };
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  /** Within an error scope, so that it must not throw. */
  #describe(kernel: Kernel, entry: string, constants: Constants) {
    const { storage, texels, params } = entryPoint(kernel, entry);
    const label = `${kernel.name}/${entry}`;
    const layout = this.#gpu.createBindGroupLayout({
      label,
      entries: [
        ...storage.map(({ binding, writable }) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: writable ? ('storage' as const) : ('read-only-storage' as const) },
        })),
        ...texels.map(({ binding }) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          storageTexture: { access: 'read-only' as const, format: 'rgba32float' as const },
        })),
        ...(params
          ? [
              {
                binding: params.binding,
                visibility: GPUShaderStage.COMPUTE,
                buffer: {
                  type: 'uniform' as const,
                  hasDynamicOffset: true,
                  minBindingSize: params.bytes,
                },
              },
            ]
          : []),
      ],
    });
    const descriptor = {
      label,
      layout: this.#gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: this.#gpu.createShaderModule({ label: kernel.name, code: kernel.code }),
        entryPoint: entry,
        constants,
      },
    };
    return { layout, descriptor };
  }

  /**
   * The bind group of these buffers, by the names of the WGSL variables; made once.
   *
   * @param textures those that the kernel's buffers are copied to, in binding order
   * @param chunk of the ring that holds the parameters
   */
  bindGroup(
    kernel: Kernel,
    entry: string,
    pipeline: Pipeline,
    buffers: Readonly<Record<string, Binding>>,
    textures: readonly TexelTexture[],
    chunk: number,
  ): GPUBindGroup {
    const { storage, texels, params } = entryPoint(kernel, entry);
    let key = chunk === 0 ? `${pipeline.id}` : `${pipeline.id}/${chunk}`;
    for (const { name } of storage) {
      const buffer = requireBound(kernel, entry, buffers, name);
      key +=
        'buffer' in buffer
          ? `,${buffer.buffer.id}@${buffer.offset}+${buffer.bytes}`
          : `,${buffer.id}`;
      const bytes = boundBytes(buffer);
      if (bytes > this.#bindingBytes) {
        const purpose = `Kernel ${kernel.name}/${entry}, ${name}`;
        throw tensorTooLarge(purpose, bytes, this.#bindingBytes, 'binds at once');
      }
    }
    for (const { id } of textures) key += `,t${id}`;
    const found = this.#bindGroups.get(key);
    if (found) {
      this.#bindGroups.delete(key);
      this.#bindGroups.set(key, found);
      return found.raw;
    }
    const limit = this.#gpu.limits.maxStorageBufferBindingSize;
    const resource = (bound: Binding) =>
      'buffer' in bound
        ? { buffer: bound.buffer.raw, offset: bound.offset, size: bound.bytes }
        : { buffer: bound.raw, size: Math.min(bound.bytes, limit) };
    const raw = this.#gpu.createBindGroup({
      label: `${kernel.name}/${entry}`,
      layout: pipeline.layout,
      entries: [
        ...storage.map(({ name, binding }) => ({ binding, resource: resource(buffers[name]!) })),
        ...texels.map(({ binding }, i) => ({ binding, resource: textures[i]!.view })),
        ...(params
          ? [
              {
                binding: params.binding,
                resource: { buffer: this.#ring.buffer(chunk), size: params.bytes },
              },
            ]
          : []),
      ],
    });
    const ids = [...new Set(storage.map(({ name }) => boundBuffer(buffers[name]!).id))];
    this.#bindGroups.set(key, { raw, buffers: ids });
    for (const id of ids) {
      const keys = this.#bindGroupsOf.get(id);
      if (keys) keys.add(key);
      else this.#bindGroupsOf.set(id, new Set([key]));
    }
    if (this.#bindGroups.size > MOST_BIND_GROUPS) {
      const [oldest] = this.#bindGroups.keys();
      if (oldest !== undefined) this.#drop(oldest);
    }
    return raw;
  }

  /** Bind groups kept now. */
  get bindGroupCount(): number {
    return this.#bindGroups.size;
  }

  /** Drops the bind groups of a buffer that is destroyed. */
  forget(buffer: PooledBuffer): void {
    for (const key of [...(this.#bindGroupsOf.get(buffer.id) ?? [])]) this.#drop(key);
  }

  #drop(key: string): void {
    for (const id of this.#bindGroups.get(key)?.buffers ?? []) {
      const keys = this.#bindGroupsOf.get(id);
      keys?.delete(key);
      if (keys?.size === 0) this.#bindGroupsOf.delete(id);
    }
    this.#bindGroups.delete(key);
  }
}

/** @throws HistogradError `kernel-interface` when nothing was given by that name */
export function requireBound<T>(
  kernel: Kernel,
  entry: string,
  given: Readonly<Record<string, T>>,
  name: string,
): T {
  const found = given[name];
  if (found) return found;
  const { storage, texels } = entryPoint(kernel, entry);
  throw new HistogradError(
    'kernel-interface',
    `Kernel ${kernel.name}/${entry}: no buffer was given for ${name}.`,
    `Give buffers for ${[...storage, ...texels].map((s) => s.name).join(', ')}.`,
  );
}

/** @throws HistogradError `kernel-interface` for an override that the kernel does not have */
function constantsOf(kernel: Kernel, overrides: Overrides): Constants {
  const known = reflect(kernel).overrides;
  const constants: Record<string, number> = {};
  for (const [name, value] of Object.entries(overrides)) {
    if (!known.has(name)) {
      throw new HistogradError(
        'kernel-interface',
        `Kernel ${kernel.name} has no override ${name} (it has: ${[...known].join(', ')}).`,
        `Correct shaders/${kernel.name}.wgsl or the host code that calls it.`,
      );
    }
    constants[name] = Number(value);
  }
  return constants;
}

function keyOf(kernel: Kernel, entry: string, overrides: Overrides): string {
  let key = `${kernel.name}/${entry}`;
  for (const name in overrides) key += `,${name}=${overrides[name]}`;
  return key;
}
