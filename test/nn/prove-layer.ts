/**
 * The proof that every layer owes: from PyTorch's state dict, under PyTorch's names, it gives PyTorch's
 * output, gradients of inputs and parameters, and buffers afterwards, in both tunings.
 */
import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import type { Init } from '../../src/nn/layers.ts';
import type { Module, StateTensor } from '../../src/nn/module.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { compare, floats, TUNINGS } from '../ops/prove.ts';
import { loadGolden } from '../reference/goldens.ts';

interface LayerProof<Layer extends Module, Options> {
  /** The class; its golden is `layers/<name of the class>`. */
  layer: abstract new (
    ...args: never[]
  ) => Layer;
  make(init: Init, options: Options): Layer;
  /** How the layer is called; without it, `layer.forward(...inputs)`. */
  call?(layer: Layer, inputs: readonly Tensor[], options: Options): Tensor;
  /** Allowed error, relative to the largest magnitude of a tensor (2e-5). Say why where it is more. */
  tolerance?: number;
  /** Absolute error that counts as none (1e-6). */
  floor?: number;
}

export function proveLayer<Layer extends Module, Options>(proof: LayerProof<Layer, Options>): void {
  const { layer: type, make, tolerance = 2e-5, floor = 1e-6 } = proof;
  const allowance = { relative: tolerance, floor };
  const call = proof.call ?? ((layer, inputs) => callForward(layer, inputs));

  describe(`layer ${type.name}`, () => {
    it.each(TUNINGS)('agrees with PyTorch, $tuning', async ({ open }) => {
      const device = await open();
      const { cases, tensor } = await loadGolden('layers', type.name);
      expect(cases.length).toBeGreaterThan(0);
      const wrong: string[] = [];
      for (const golden of cases) {
        const read = (key: string) => floats(tensor(key));
        const check = (
          what: string,
          found: { shape: readonly number[]; data: unknown },
          key: string,
        ) => {
          const problem = compare(floats(found), read(key), allowance);
          if (problem) wrong.push(`${golden.name}, ${what}: ${problem}`);
        };
        const init = { device, generator: new Generator(1) };
        const layer = make(init, golden.options as Options);
        layer.train(golden.training ?? true);
        const state = Object.entries(golden.state ?? {});
        layer.loadStateDict(
          new Map<string, StateTensor>(state.map(([name, key]) => [name, read(key)])),
        );
        const inputs = golden.inputs.map((key) => {
          const { data, shape } = read(key);
          return Parameter.of(Tensor.from(device, data, shape));
        });
        const output = scope(() => {
          const result = call(layer, inputs, golden.options as Options);
          const { data, shape } = read(golden.gradOutput!);
          backwardFrom(result, Tensor.from(device, data, shape));
          return result;
        });
        check('output', { shape: output.shape, data: await output.floats() }, golden.output);
        for (const [i, key] of golden.grads.entries()) {
          const { grad } = inputs[i]!;
          if (key && grad)
            check(`gradient of input ${i}`, { shape: grad.shape, data: await grad.floats() }, key);
          else if (key) wrong.push(`${golden.name}: input ${i} received no gradient`);
        }
        const parameters = layer.namedParameters();
        for (const [name, key] of Object.entries(golden.stateGrads ?? {})) {
          const grad = parameters.get(name)?.grad;
          if (grad)
            check(`gradient of ${name}`, { shape: grad.shape, data: await grad.floats() }, key);
          else wrong.push(`${golden.name}: ${name} received no gradient`);
        }
        const buffers = layer.namedBuffers();
        for (const [name, key] of Object.entries(golden.buffersAfter ?? {})) {
          const buffer = buffers.get(name);
          if (buffer)
            check(`${name} afterwards`, { shape: buffer.shape, data: await buffer.floats() }, key);
          else wrong.push(`${golden.name}: there is no buffer ${name}`);
        }
        output.dispose();
        for (const input of inputs) input.dispose();
        layer.dispose();
      }
      expect(wrong).toEqual([]);
    });
  });
}

function callForward(layer: Module, inputs: readonly Tensor[]): Tensor {
  if ('forward' in layer && typeof layer.forward === 'function') return layer.forward(...inputs);
  throw new Error(`${layer.constructor.name} has no forward(): give proveLayer a call`);
}
