import type { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import { everyStep, isRecording } from '../gpu/recording.ts';
import type { StateTensor } from '../nn/module.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Bundle, bundle, type Recipe, type Slot, stateKeys } from './bundles.ts';
import { clipGradNorm } from './grad-norm.ts';
import { type PerStep, StepCounts } from './step-counts.ts';

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

/**
 * Base of the optimisers: parameter groups, state tensors, exact resumption. A subclass says which state a
 * parameter has and which kernel updates it. Parameters larger than one binding are updated in parts, small ones
 * several at a time (`bundles.ts`).
 */
export abstract class Optimizer<Options extends GroupOptions> {
  /** The options of each group, as given or by default. */
  readonly groups: readonly Options[];
  readonly #slots: readonly Slot[];
  /** By group. */
  readonly #bundles: readonly (readonly Bundle[])[];
  /** Null without parameters. */
  readonly #counts: StepCounts | null;
  #steps = 0;

  constructor(parameters: Parameters<Options>, defaults: Options) {
    const given = isMap(parameters) ? [{ parameters }] : parameters;
    this.groups = given.map(({ parameters: _, ...own }) => ({ ...defaults, ...own }));
    for (const options of this.groups) this.check(options);
    requireDistinct(given.map((group) => group.parameters));
    let count = 0;
    const slots = given.map((group, g) => {
      const states = this.stateNames(this.groups[g]!);
      return [...group.parameters].map(([name, parameter]) => ({
        name,
        parameter,
        states,
        index: count++,
      }));
    });
    this.#slots = slots.flat();
    const perStep = slots.flatMap((own, g) => {
      const each = this.perStep(this.groups[g]!);
      return own.map(() => each);
    });
    const device = this.#slots[0]?.parameter.device;
    this.#counts = device ? new StepCounts(device, perStep) : null;
    this.#bundles = slots.map((own) => (device ? bundle(device, own) : []));
  }

  /** Throws when a group's options make no sense. */
  protected abstract check(options: Options): void;
  /** Names of the state tensors of a parameter; they start as zeros. */
  protected abstract stateNames(options: Options): readonly string[];
  /** What the kernel finds in `now` for a parameter's step; asked for once. */
  protected abstract perStep(options: Options): PerStep;
  protected abstract recipe(options: Options, lr: number): Recipe;

  /** Steps so far, with those that were left out. */
  get steps(): number {
    return this.#steps;
  }

  zeroGrad(): void {
    for (const { parameter } of this.#slots) parameter.grad = null;
  }

  /**
   * Updates all parameters that have a gradient. A step in which any gradient is not finite changes nothing, and does
   * not count as a step of the parameters.
   *
   * @param clip from `clipGradNorm` or a `GradScaler`, which scales the gradients; null: as they are
   * @param factor on the learning rate of every group, from a schedule; as a function where the step is captured
   * @throws HistogradError `use-after-free` when one of its parameters was disposed, with a gradient or without
   */
  step(clip: Tensor | null = null, factor?: number | (() => number)): void {
    const gone = this.#slots.find(({ parameter }) => parameter.disposed);
    if (gone) throw freed(gone.name);
    const present = this.#slots.filter(({ parameter }) => parameter.grad);
    if (present.length === 0) return;
    if (isRecording() && typeof factor === 'number') throw frozenFactor(factor);
    const recipes: Recipe[] = [];
    everyStep(
      () => {
        this.#steps++;
        const times = typeof factor === 'function' ? factor() : (factor ?? 1);
        this.groups.forEach((options, g) => {
          recipes[g] = this.recipe(options, options.lr * times);
        });
      },
      () => {
        this.#steps--;
      },
    );
    const counts = this.#counts!;
    const scale = clip ?? clipGradNorm(present.map(({ parameter }) => parameter));
    counts.count(
      scale,
      present.map(({ index }) => index),
    );
    for (const { parameter } of present) parameter.bumpVersion();
    this.#bundles.forEach((bundles, g) => {
      for (const each of bundles) each.update(counts.now, () => recipes[g]!);
    });
    if (!clip) scale.dispose();
  }

  /**
   * The state tensors as `<state>.<parameter>`; the step count is `steps`. A parameter that has taken fewer steps,
   * because it had no gradient or they were left out, has its own count as `step.<parameter>`.
   */
  async stateDict(): Promise<Map<string, StateTensor>> {
    const taken = (await this.#counts?.read()) ?? [];
    const states = new Map<string, StateTensor>();
    for (const each of this.#bundles.flat()) {
      for (const [key, state] of await each.read()) states.set(key, state);
    }
    const dict = new Map<string, StateTensor>();
    for (const slot of this.#slots) {
      for (const key of stateKeys(slot)) dict.set(key, states.get(key)!);
      const own = taken[slot.index]!;
      if (own !== this.#steps) {
        dict.set(`step.${slot.name}`, { shape: [1], data: Float32Array.of(own) });
      }
    }
    return dict;
  }

  loadStateDict(dict: ReadonlyMap<string, StateTensor>, steps: number): void {
    for (const slot of this.#slots) {
      const { size } = slot.parameter;
      for (const key of stateKeys(slot)) {
        if (dict.get(key)?.data.length === size) continue;
        throw new HistogradError(
          'checkpoint-mismatch',
          `The optimiser state has no ${key} of ${size} values.`,
          'Resume with the optimiser, model and sizes that the checkpoint was written with.',
        );
      }
    }
    this.#steps = steps;
    this.#counts?.assign(this.#slots.map(({ name }) => dict.get(`step.${name}`)?.data[0] ?? steps));
    for (const each of this.#bundles.flat()) each.assign(dict);
  }

  /** Frees the state; the parameters stay. */
  dispose(): void {
    for (const each of this.#bundles.flat()) each.dispose();
    this.#counts?.dispose();
  }
}

function freed(name: string): HistogradError {
  return new HistogradError(
    'use-after-free',
    `Optimiser: the parameter ${name} was disposed.`,
    'Dispose of an optimiser before its parameters; make a new one for those that are left.',
  );
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
