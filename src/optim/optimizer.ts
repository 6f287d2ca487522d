import type { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import type { Kernel } from '../gpu/kernel.ts';
import { everyStep, isRecording } from '../gpu/recording.ts';
import type { StateTensor } from '../nn/module.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { clipGradNorm } from './grad-norm.ts';

/** What every optimiser lets a group of parameters choose. */
export interface GroupOptions {
  /** Learning rate; may be changed between steps. */
  lr: number;
  weightDecay: number;
}

/** Parameters by name, with the options in which they differ from the optimiser's. */
export type ParameterGroup<Options extends GroupOptions> = Partial<Options> & {
  readonly parameters: ReadonlyMap<string, Parameter>;
};

/** What an optimiser is made for: all parameters alike, or in groups. */
export type Parameters<Options extends GroupOptions> =
  | ReadonlyMap<string, Parameter>
  | readonly ParameterGroup<Options>[];

/** One parameter's update: `kernel` gets p, g, clip and the state tensors by name, and `vecs` among its params. */
interface Recipe {
  readonly kernel: Kernel;
  readonly entry: string;
  readonly params: Readonly<Record<string, number>>;
  readonly overrides?: Readonly<Record<string, boolean>>;
}

interface Slot {
  readonly parameter: Parameter;
  readonly state: Readonly<Record<string, Tensor>>;
  /** Steps in which this parameter had a gradient. */
  taken: number;
}

/**
 * Base of the optimisers: parameter groups, state tensors, exact resumption. A subclass says which state a
 * parameter has and which kernel updates it. Parameters larger than one binding are updated in parts.
 */
export abstract class Optimizer<Options extends GroupOptions> {
  /** The options of each group, as given or by default. */
  readonly groups: readonly Options[];
  readonly #slots: readonly ReadonlyMap<string, Slot>[];
  #steps = 0;

  constructor(parameters: Parameters<Options>, defaults: Options) {
    const given = isMap(parameters) ? [{ parameters }] : parameters;
    this.groups = given.map(({ parameters: _, ...own }) => ({ ...defaults, ...own }));
    const groups = this.groups;
    for (const options of groups) this.check(options);
    requireDistinct(given.map((group) => group.parameters));
    this.#slots = given.map((group, g) => {
      const names = this.stateNames(groups[g]!);
      const slots = new Map<string, Slot>();
      for (const [name, parameter] of group.parameters) {
        const zeros = () => keep(Tensor.zeros(parameter.device, parameter.shape));
        const state = Object.fromEntries(names.map((key) => [key, zeros()]));
        slots.set(name, { parameter, state, taken: 0 });
      }
      return slots;
    });
  }

  /** Throws when a group's options make no sense. */
  protected abstract check(options: Options): void;
  /** Names of the state tensors of a parameter; they start as zeros. */
  protected abstract stateNames(options: Options): readonly string[];
  /** @param step this parameter's steps, this one included */
  protected abstract recipe(options: Options, lr: number, step: number): Recipe;

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps;
  }

  zeroGrad(): void {
    for (const [, { parameter }] of this.#all()) parameter.grad = null;
  }

  /**
   * Updates all parameters that have a gradient. A step in which any gradient is not finite changes none of them.
   *
   * @param clip from `clipGradNorm`, which scales the gradients; null: as they are
   * @param factor on the learning rate of every group, from a schedule; as a function where the step is captured
   */
  step(clip: Tensor | null = null, factor?: number | (() => number)): void {
    const parameters = [...this.#all()].map(([, slot]) => slot.parameter);
    if (!parameters.some((p) => p.grad)) return;
    if (isRecording() && typeof factor === 'number') throw frozenFactor(factor);
    everyStep(() => {
      this.#steps++;
    });
    const scale = clip ?? clipGradNorm(parameters);
    this.#slots.forEach((slots, g) => {
      const options = this.groups[g]!;
      for (const slot of slots.values()) {
        const { grad } = slot.parameter;
        if (!grad) continue;
        everyStep(() => {
          slot.taken++;
        });
        slot.parameter.bumpVersion();
        run(slot, grad, scale, () => {
          const times = typeof factor === 'function' ? factor() : (factor ?? 1);
          return this.recipe(options, options.lr * times, slot.taken);
        });
      }
    });
    if (!clip) scale.dispose();
  }

  /**
   * The state tensors as `<state>.<parameter>`; the step count is `steps`. A parameter that had no gradient in some
   * steps has its own count as `step.<parameter>`.
   */
  async stateDict(): Promise<Map<string, StateTensor>> {
    const dict = new Map<string, StateTensor>();
    for (const [name, { state, taken }] of this.#all()) {
      for (const [key, tensor] of Object.entries(state)) {
        dict.set(`${key}.${name}`, { shape: tensor.shape, data: await tensor.data() });
      }
      if (taken !== this.#steps) {
        dict.set(`step.${name}`, { shape: [1], data: Float32Array.of(taken) });
      }
    }
    return dict;
  }

  loadStateDict(dict: ReadonlyMap<string, StateTensor>, steps: number): void {
    for (const [name, { state }] of this.#all()) {
      for (const [key, { size }] of Object.entries(state)) {
        if (dict.get(`${key}.${name}`)?.data.length === size) continue;
        throw new HistogradError(
          'checkpoint-mismatch',
          `The optimiser state has no ${key}.${name} of ${size} values.`,
          'Resume with the optimiser, model and sizes that the checkpoint was written with.',
        );
      }
    }
    this.#steps = steps;
    for (const [name, slot] of this.#all()) {
      slot.taken = dict.get(`step.${name}`)?.data[0] ?? steps;
      for (const [key, tensor] of Object.entries(slot.state)) {
        tensor.assign(dict.get(`${key}.${name}`)!.data);
      }
    }
  }

  /** Frees the state; the parameters stay. */
  dispose(): void {
    for (const [, { state }] of this.#all()) {
      for (const tensor of Object.values(state)) tensor.dispose();
    }
  }

  *#all(): Generator<[string, Slot]> {
    for (const slots of this.#slots) yield* slots;
  }
}

function run({ parameter, state }: Slot, grad: Tensor, clip: Tensor, recipe: () => Recipe): void {
  const { device }: { device: Device } = parameter;
  const { kernel, entry, overrides: own } = recipe();
  const tensors = Object.entries({ ...state, p: parameter, g: grad });
  for (const part of elementParts(device, parameter.size)) {
    const { groups, overrides } = elementwisePlan(device, part.count);
    const bound = tensors.map(([name, tensor]) => [name, bindPart(tensor, part)] as const);
    device.run(kernel, entry, {
      buffers: { ...Object.fromEntries(bound), clip: clip.buffer },
      params: () => ({ vecs: Math.ceil(part.count / 4), ...recipe().params }),
      overrides: { ...overrides, ...own },
      groups,
    });
  }
}

function frozenFactor(factor: number): HistogradError {
  return new HistogradError(
    'capture',
    `Optimiser: in a captured step the factor on the learning rate was the number ${factor}, which would stay for good.`,
    'Give a function that returns the factor of the step.',
  );
}

function isMap<Options extends GroupOptions>(
  parameters: Parameters<Options>,
): parameters is ReadonlyMap<string, Parameter> {
  return parameters instanceof Map;
}

function requireDistinct(groups: readonly ReadonlyMap<string, Parameter>[]): void {
  const names = new Set<string>();
  const seen = new Set<Parameter>();
  for (const [name, parameter] of groups.flatMap((group) => [...group])) {
    if (names.has(name) || seen.has(parameter)) {
      throw new HistogradError(
        'option',
        `Optimiser: the parameter ${name} is given twice.`,
        'Put every parameter into one group, under one name.',
      );
    }
    names.add(name);
    seen.add(parameter);
  }
}

/** Throws unless `ok`. */
export function requireOption(ok: boolean, name: string, expected: string, found: unknown): void {
  if (ok) return;
  throw new HistogradError(
    'option',
    `${name}: expected ${expected}, found ${found}.`,
    'Correct it.',
  );
}

/**
 * Two groups: weights, which decay, and biases and the scales of norms, which do not. Those are the parameters of at
 * most one dimension and those called `bias` (timm's rule).
 */
export function decayGroups(
  parameters: ReadonlyMap<string, Parameter>,
  weightDecay: number,
): { parameters: Map<string, Parameter>; weightDecay: number }[] {
  const exempt = ([name, { rank }]: [string, Parameter]) => rank <= 1 || /(^|\.)bias$/.test(name);
  const all = [...parameters];
  const groups = [
    { parameters: new Map(all.filter((entry) => !exempt(entry))), weightDecay },
    { parameters: new Map(all.filter(exempt)), weightDecay: 0 },
  ];
  return groups.filter((group) => group.parameters.size > 0);
}
