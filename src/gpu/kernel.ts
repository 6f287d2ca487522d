/**
 * A kernel is one `.wgsl` module. Its WGSL is the only declaration of bindings, parameters and
 * overrides: `reflect` reads them, so that the host binds by variable name and packs `params` by
 * field name, and a mismatch throws with the names in it instead of computing wrong numbers.
 */
import { ResourceType, WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import { HistogradError } from '../errors.ts';

export interface Kernel {
  readonly name: string;
  readonly code: string;
}

export type ParamValue = number | boolean | readonly number[];

interface ParamField {
  offset: number;
  type: 'u32' | 'i32' | 'f32';
  length: number;
}

export interface EntryPoint {
  /** Storage bindings in binding order, by variable name. */
  readonly storage: readonly { name: string; binding: number; writable: boolean }[];
  /** Textures that buffers are copied to before (texel-copies.ts), in binding order. */
  readonly texels: readonly { name: string; binding: number }[];
  /** The uniform called `params`, when the entry point uses one. */
  readonly params: {
    binding: number;
    bytes: number;
    fields: ReadonlyMap<string, ParamField>;
  } | null;
}

export interface KernelInterface {
  readonly entries: ReadonlyMap<string, EntryPoint>;
  readonly overrides: ReadonlySet<string>;
}

export function defineKernel(name: string, code: string): Kernel {
  return { name, code };
}

const reflected = new WeakMap<Kernel, KernelInterface>();

export function reflect(kernel: Kernel): KernelInterface {
  let found = reflected.get(kernel);
  if (!found) {
    found = readInterface(kernel);
    reflected.set(kernel, found);
  }
  return found;
}

function readInterface(kernel: Kernel): KernelInterface {
  // The parser knows neither lists of extensions nor the templates of this one; no interface depends on them.
  const code = kernel.code
    .replace(/^enable [^;]*;/gm, '')
    .replace(/\b(subgroup_?[Mm]atrix\w*)<[^>]*>/g, '$1');
  const module = new WgslReflect(code);
  const entries = new Map<string, EntryPoint>();
  for (const entry of module.entry.compute) {
    const storage: { name: string; binding: number; writable: boolean }[] = [];
    const texels: { name: string; binding: number }[] = [];
    let params: EntryPoint['params'] = null;
    for (const resource of entry.resources) {
      if (resource.group !== 0) throw broken(kernel, `${resource.name} is not in @group(0)`);
      if (resource.resourceType === ResourceType.Storage) {
        const writable = resource.access === 'read_write';
        storage.push({ name: resource.name, binding: resource.binding, writable });
      } else if (resource.resourceType === ResourceType.Uniform && resource.name === 'params') {
        params = readParams(kernel, resource);
      } else if (resource.resourceType === ResourceType.StorageTexture) {
        texels.push({ name: resource.name, binding: resource.binding });
      } else throw broken(kernel, `${resource.name} is neither storage nor the uniform 'params'`);
    }
    storage.sort((a, b) => a.binding - b.binding);
    texels.sort((a, b) => a.binding - b.binding);
    entries.set(entry.name, { storage, texels, params });
  }
  return { entries, overrides: new Set(module.overrides.map((o) => o.name)) };
}

function readParams(
  kernel: Kernel,
  resource: { binding: number; size: number; type: unknown },
): NonNullable<EntryPoint['params']> {
  const fields = new Map<string, ParamField>();
  const type = resource.type as {
    members?: {
      name: string;
      offset: number;
      type: { name: string; format?: { name: string } | null };
    }[];
  };
  for (const member of type.members ?? []) {
    const vector = /^vec([234])/.exec(member.type.name);
    const scalar = vector
      ? (member.type.format?.name ?? member.type.name.slice(4))
      : member.type.name;
    const short = { u: 'u32', i: 'i32', f: 'f32' }[scalar] ?? scalar;
    if (short !== 'u32' && short !== 'i32' && short !== 'f32')
      throw broken(kernel, `params.${member.name} has the unsupported type ${member.type.name}`);
    fields.set(member.name, {
      offset: member.offset,
      type: short,
      length: vector ? Number(vector[1]) : 1,
    });
  }
  return { binding: resource.binding, bytes: resource.size, fields };
}

function broken(kernel: Kernel, problem: string): HistogradError {
  return new HistogradError(
    'kernel-interface',
    `Kernel ${kernel.name}: ${problem}.`,
    `Correct shaders/${kernel.name}.wgsl or the host code that calls it.`,
  );
}

export function entryPoint(kernel: Kernel, entry: string): EntryPoint {
  const found = reflect(kernel).entries.get(entry);
  if (!found) {
    const names = [...reflect(kernel).entries.keys()].join(', ');
    throw broken(kernel, `there is no entry point ${entry} (there are: ${names})`);
  }
  return found;
}

/** Writes parameters by field name at `at` in `view`; every field must be given, no other may be. */
export function packParams(
  kernel: Kernel,
  params: NonNullable<EntryPoint['params']>,
  values: Readonly<Record<string, ParamValue>>,
  view: DataView,
  at: number,
): void {
  let used = 0;
  for (const [name, field] of params.fields) {
    const value = values[name];
    if (value === undefined) throw broken(kernel, `parameter ${name} was not given`);
    used++;
    const list = Array.isArray(value) ? (value as readonly number[]) : [Number(value)];
    if (list.length !== field.length)
      throw broken(kernel, `parameter ${name} takes ${field.length} numbers, got ${list.length}`);
    for (let i = 0; i < field.length; i++) {
      const offset = at + field.offset + 4 * i;
      if (field.type === 'f32') view.setFloat32(offset, list[i]!, true);
      else if (field.type === 'u32') view.setUint32(offset, list[i]!, true);
      else view.setInt32(offset, list[i]!, true);
    }
  }
  if (used !== Object.keys(values).length) {
    const extra = Object.keys(values).filter((name) => !params.fields.has(name));
    throw broken(kernel, `unknown parameter ${extra.join(', ')}`);
  }
}
