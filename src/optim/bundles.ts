/**
 * Which parameters are updated together. On lavapipe a dispatch costs 20 µs and 2.7 µs more for each buffer, as much as
 * updating some thousand elements, and most parameters are smaller. Small ones go by threes, with their state side by
 * side in one buffer: 14 µs each instead of 33. More would need more than the 8 storage buffers that every adapter binds,
 * and gain little (by sevens 9 µs).
 */
import type { Parameter } from '../autograd/parameter.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import type { Device } from '../gpu/device.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { StateTensor } from '../nn/module.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';

/** A parameter of an optimiser. */
export interface Slot {
  readonly name: string;
  readonly parameter: Parameter;
  /** Names of its state tensors. */
  readonly states: readonly string[];
  /** Its place among all of the optimiser's. */
  readonly index: number;
}

/** The names of its state in a state dict, such as `m.weight`. */
export function stateKeys({ name, states }: Slot): string[] {
  return states.map((state) => `${state}.${name}`);
}

/** An update. */
export interface Recipe {
  readonly kernel: Kernel;
  /** The entry points for one parameter, and for up to three. */
  readonly entries: readonly [one: string, three: string];
  readonly params: Readonly<Record<string, number>>;
  readonly overrides?: Readonly<Record<string, boolean>>;
}

const MOST = 3;
/** Elements of a parameter beyond which a dispatch of its own costs nothing by comparison. */
const SMALL = 2 ** 20;

/** Bundles of slots with the same options, smallest first: alike in size, they share the workgroups well. */
export function bundle(device: Device, slots: readonly Slot[]): Bundle[] {
  const states = slots[0]?.states ?? [];
  const vecs = device.bindingBytes / (16 * MOST * Math.max(1, states.length));
  const small = Math.min(SMALL, 4 * Math.floor(vecs));
  const bundles: Slot[][] = [];
  for (const slot of [...slots].sort((a, b) => a.parameter.size - b.parameter.size)) {
    const last = bundles.at(-1) ?? [];
    const joins =
      last.length > 0 &&
      slot.parameter.size <= small &&
      last.length < MOST &&
      // Parameters that are views of the same memory cannot be written by one dispatch.
      last.every(({ parameter }) => parameter.buffer !== slot.parameter.buffer);
    if (joins) last.push(slot);
    else bundles.push([slot]);
  }
  return bundles.map((each) =>
    each.length > 1 ? new SharedBundle(device, each) : new LoneBundle(device, each[0]!),
  );
}

/** Parameters that are updated together, and their state. */
export interface Bundle {
  /**
   * @param now see `StepCounts`
   * @param recipe asked for anew in every step
   */
  update(now: Tensor, recipe: () => Recipe): void;
  /** The state by names as `m.weight`. */
  read(): Promise<Map<string, StateTensor>>;
  /** Takes the state from where it has the names of `read`. */
  assign(dict: ReadonlyMap<string, StateTensor>): void;
  dispose(): void;
}

/** One parameter, of any size. */
class LoneBundle implements Bundle {
  readonly #device: Device;
  readonly #slot: Slot;
  readonly #state: Readonly<Record<string, Tensor>>;

  constructor(device: Device, slot: Slot) {
    this.#device = device;
    this.#slot = slot;
    const zeros = () => keep(Tensor.zeros(device, slot.parameter.shape));
    this.#state = Object.fromEntries(slot.states.map((state) => [state, zeros()]));
  }

  update(now: Tensor, recipe: () => Recipe): void {
    const { parameter, index } = this.#slot;
    const { grad } = parameter;
    if (!grad) return;
    const { kernel, entries, overrides: own } = recipe();
    const tensors = Object.entries({ ...this.#state, p0: parameter, g0: grad });
    for (const part of elementParts(this.#device, parameter.size)) {
      const { groups, overrides } = elementwisePlan(this.#device, part.count);
      const bound = tensors.map(([name, tensor]) => [name, bindPart(tensor, part)] as const);
      const vecs = Math.ceil(part.count / 4);
      this.#device.run(kernel, entries[0], {
        buffers: { ...Object.fromEntries(bound), now: now.buffer },
        params: () => ({ ...layout([vecs], [index], [0]), ...recipe().params }),
        overrides: { ...overrides, ...own },
        groups,
      });
    }
  }

  async read(): Promise<Map<string, StateTensor>> {
    const found = new Map<string, StateTensor>();
    for (const [key, tensor] of Object.entries(this.#state)) {
      const data = await tensor.data();
      found.set(`${key}.${this.#slot.name}`, { shape: tensor.shape, data });
    }
    return found;
  }

  assign(dict: ReadonlyMap<string, StateTensor>): void {
    for (const [key, tensor] of Object.entries(this.#state)) {
      tensor.assign(dict.get(`${key}.${this.#slot.name}`)!.data);
    }
  }

  dispose(): void {
    for (const tensor of Object.values(this.#state)) tensor.dispose();
  }
}

/** Up to three small parameters. */
class SharedBundle implements Bundle {
  readonly #device: Device;
  readonly #slots: readonly Slot[];
  /** Of each slot, one state after the other, in whole vec4s. */
  readonly #moments: Tensor;
  /** Where the state of each slot begins, in vec4s. */
  readonly #at: readonly number[];
  /** Bound where a bundle has no third parameter. */
  readonly #spare: Tensor;

  constructor(device: Device, slots: readonly Slot[]) {
    this.#device = device;
    this.#slots = slots;
    const at: number[] = [];
    let total = 0;
    for (const { parameter, states } of slots) {
      at.push(total);
      total += vecsOf(parameter) * states.length;
    }
    this.#at = at;
    this.#moments = keep(Tensor.zeros(device, [4 * total]));
    this.#spare = keep(Tensor.zeros(device, [4]));
  }

  update(now: Tensor, recipe: () => Recipe): void {
    const grads = this.#slots.map(({ parameter }) => parameter.grad);
    const any = grads.find((grad) => grad !== null);
    if (!any) return;
    const { kernel, entries, overrides: own } = recipe();
    const buffers: Record<string, PooledBuffer> = { now: now.buffer };
    if (this.#moments.size > 0) buffers.moments = this.#moments.buffer;
    for (let k = 0; k < MOST; k++) {
      buffers[`p${k}`] = (this.#slots[k]?.parameter ?? this.#spare).buffer;
      buffers[`g${k}`] = (grads[k] ?? any).buffer;
    }
    const vecs = this.#slots.map(({ parameter }, k) => (grads[k] ? vecsOf(parameter) : 0));
    const place = layout(
      vecs,
      this.#slots.map(({ index }) => index),
      this.#at,
    );
    const { groups, overrides } = elementwisePlan(this.#device, 4 * Math.max(...vecs));
    this.#device.run(kernel, entries[1], {
      buffers,
      params: () => ({ ...place, ...recipe().params }),
      overrides: { ...overrides, ...own },
      groups,
    });
  }

  async read(): Promise<Map<string, StateTensor>> {
    const places = [...this.#places()];
    const found = new Map<string, StateTensor>();
    if (places.length === 0) return found;
    const values = await this.#moments.floats();
    for (const { key, shape, from, to } of places) {
      found.set(key, { shape, data: values.slice(from, to) });
    }
    return found;
  }

  assign(dict: ReadonlyMap<string, StateTensor>): void {
    const values = new Float32Array(this.#moments.size);
    for (const { key, from } of this.#places()) values.set(dict.get(key)!.data, from);
    this.#moments.assign(values);
  }

  dispose(): void {
    this.#moments.dispose();
    this.#spare.dispose();
  }

  *#places() {
    for (const [k, slot] of this.#slots.entries()) {
      const { shape, size } = slot.parameter;
      for (const [i, key] of stateKeys(slot).entries()) {
        const from = 4 * (this.#at[k]! + i * vecsOf(slot.parameter));
        yield { key, shape, from, to: from + size };
      }
    }
  }
}

function vecsOf({ size }: Tensor): number {
  return Math.ceil(size / 4);
}

/** The parameters in which the kernels are told what is where; `now` has its first pair for all. */
function layout(vecs: readonly number[], indices: readonly number[], at: readonly number[]) {
  const three = (numbers: readonly number[]) => [0, 1, 2].map((k) => numbers[k] ?? 0);
  return { vecs: three(vecs), slots: three(indices).map((i) => 1 + i), at: three(at) };
}
