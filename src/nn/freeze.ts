/** Layer-wise freezing: fine-tuning of some layers of a network, or of a head on top of a fixed one. */
import type { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import type { Module } from './module.ts';

/**
 * Freezes the parameters and modules of these names (`layer1`, `blocks.0.attn`; all without names): they get no
 * gradients, and batch norms among them use their running statistics and leave them alone, in training too.
 *
 * @throws HistogradError `option` for a name that nothing has
 */
export function freeze(module: Module, names?: readonly string[]): void {
  setFrozen(module, names, true);
}

/** The reverse of `freeze`. */
export function unfreeze(module: Module, names?: readonly string[]): void {
  setFrozen(module, names, false);
}

/** What to give to an optimiser: the parameters that are not frozen. */
export function trainableParameters(module: Module): Map<string, Parameter> {
  return new Map([...module.namedParameters()].filter(([, parameter]) => !parameter.frozen));
}

function setFrozen(module: Module, names: readonly string[] = [''], on: boolean): void {
  const parameters = [...module.namedParameters()];
  const named = (name: string) =>
    parameters.filter(([path]) => !name || path === name || path.startsWith(`${name}.`));
  const found = names.map((name) => named(name));
  const missing = names.find((_, i) => found[i]!.length === 0);
  if (missing !== undefined) {
    const known = new Set(parameters.map(([path]) => path.split('.')[0]));
    throw new HistogradError(
      'option',
      `freeze: there is no parameter or module called ${missing}.`,
      `Names begin with ${[...known].join(', ')}.`,
    );
  }
  for (const [, parameter] of found.flat()) parameter.frozen = on;
}
