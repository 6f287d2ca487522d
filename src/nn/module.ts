import { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import { Tensor, type TensorData } from '../tensor/tensor.ts';
import type { Init } from './layers.ts';

/** Values of a state dict as they come from a file. */
export interface StateTensor {
  shape: readonly number[];
  data: TensorData;
}

/**
 * Base of layers and models. Parameters, buffers (tensors that are saved but not trained, such as running
 * statistics) and submodules are found among the public properties, and named by them as in PyTorch
 * (`attention.V.weight`, arrays by index). A tensor that is not to be saved belongs into a #private property.
 */
export abstract class Module {
  training = true;
  /** Path from the root module, once `namedModules` was called on it; used in messages. */
  layerName = '';

  /** @param init given by layers that make parameters or draw numbers: it is checked */
  constructor(...init: readonly [Init?]) {
    if (init.length > 0) requireInit(init[0], new.target.name);
  }

  train(on = true): this {
    for (const [, module] of this.namedModules()) module.training = on;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** This module and all below it, by path. */
  namedModules(prefix = ''): [string, Module][] {
    this.layerName = prefix;
    const found: [string, Module][] = [[prefix, this]];
    for (const [name, value] of members(this)) {
      if (value instanceof Module) found.push(...value.namedModules(join(prefix, name)));
    }
    return found;
  }

  /** All parameters by path, in order of declaration. */
  namedParameters(): Map<string, Parameter> {
    const found = new Map<string, Parameter>();
    for (const [name, tensor] of this.#tensors()) {
      if (tensor instanceof Parameter) found.set(name, tensor);
    }
    return found;
  }

  /** All buffers by path; the module that holds one has taken it out of all scopes (`keep`). */
  namedBuffers(): Map<string, Tensor> {
    const all = [...this.#tensors()];
    return new Map(all.filter(([, tensor]) => !(tensor instanceof Parameter)));
  }

  *#tensors(): Generator<[string, Tensor]> {
    for (const [path, module] of this.namedModules()) {
      for (const [name, value] of members(module)) {
        if (value instanceof Tensor) yield [join(path, name), value];
      }
    }
  }

  /** Reads all parameters and buffers back from the GPU. */
  async stateDict(): Promise<Map<string, StateTensor>> {
    const state = new Map<string, StateTensor>();
    for (const [name, tensor] of this.#tensors()) {
      state.set(name, { shape: tensor.shape, data: await tensor.data() });
    }
    return state;
  }

  /** Overwrites the parameters and buffers. Names and shapes must agree exactly. */
  loadStateDict(state: ReadonlyMap<string, StateTensor>): void {
    const parameters = new Map(this.#tensors());
    const missing = [...parameters.keys()].filter((name) => !state.has(name));
    const unexpected = [...state.keys()].filter((name) => !parameters.has(name));
    const reshaped = [...parameters].filter(([name, p]) => {
      const found = state.get(name);
      return found && found.shape.join() !== p.shape.join();
    });
    if (missing.length + unexpected.length + reshaped.length > 0) {
      const parts = [
        missing.length > 0 ? `missing: ${missing.join(', ')}` : '',
        unexpected.length > 0 ? `unexpected: ${unexpected.join(', ')}` : '',
        ...reshaped.map(
          ([name, p]) =>
            `${name}: expected [${p.shape.join(', ')}], found [${state.get(name)?.shape.join(', ')}]`,
        ),
      ];
      throw new HistogradError(
        'checkpoint-mismatch',
        `The checkpoint does not fit the model (${parts.filter(Boolean).join('; ')}).`,
        'Use the model, sizes and genes that the checkpoint was trained with.',
      );
    }
    for (const [name, parameter] of parameters) parameter.assign(state.get(name)!.data);
  }

  parameterCount(): number {
    return [...this.namedParameters().values()].reduce((total, p) => total + p.size, 0);
  }

  /** Frees all tensors of this module and those below it. Who holds others in #private properties overrides this. */
  dispose(): void {
    for (const [, value] of members(this)) {
      if (value instanceof Module || value instanceof Tensor) value.dispose();
    }
  }
}

/** A call as in PyTorch, without the device, would fail somewhere inside the layer. */
function requireInit(init: unknown, layer: string): void {
  if (typeof init === 'object' && init !== null && 'device' in init && 'generator' in init) return;
  const found = init instanceof Object ? `{ ${Object.keys(init).join(', ')} }` : String(init);
  throw new HistogradError(
    'option',
    `${layer}: expected { device, generator } as its first argument, found ${found}.`,
    `For example: new ${layer}({ device, generator: new Generator(0) }, …), with the device from Device.open().`,
  );
}

function join(prefix: string, name: string): string {
  return prefix ? `${prefix}.${name}` : name;
}

/** Properties of a module, with arrays opened: `layers` gives `layers.0`, `layers.1`, … */
function* members(module: Module): Generator<[string, unknown]> {
  for (const [name, value] of Object.entries(module)) {
    if (Array.isArray(value)) for (const [i, item] of value.entries()) yield [`${name}.${i}`, item];
    else yield [name, value];
  }
}
