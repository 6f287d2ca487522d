/**
 * The proof that every extractor owes: with the weights that test/reference/golden_extractors.py draws, under their
 * published names, it gives PyTorch's embedding and gradients, and says which network the names are of.
 */
import { expect } from 'vitest';
import { backwardFrom } from '../../../src/autograd/tape.ts';
import type { Device } from '../../../src/gpu/device.ts';
import type { Extractor } from '../../../src/models/extractors/extractor.ts';
import type { Init } from '../../../src/nn/layers.ts';
import type { Module } from '../../../src/nn/module.ts';
import { Generator, uniform } from '../../../src/tensor/random.ts';
import { scope } from '../../../src/tensor/scope.ts';
import { type Shape, sizeOf, type Tensor } from '../../../src/tensor/tensor.ts';
import { compare, floats } from '../../ops/prove.ts';
import { type Golden, loadGolden } from '../../reference/goldens.ts';

interface ExtractorCase<Options> {
  readonly options: Options;
  readonly images: Shape;
  readonly training: boolean;
  /** Names and shapes of the state dict as the library saves it. */
  readonly published: Readonly<Record<string, Shape>>;
  /** Of the gradient of every parameter that the embedding depends on. */
  readonly gradNorms: Readonly<Record<string, number>>;
  /** Of large gradients, every so-manieth value is stored. */
  readonly steps?: Readonly<Record<string, number>>;
  /** Values of biases, by their channels, that keep all units off the kinks of their ReLUs (golden_extractors.py, off_kinks). */
  readonly moved?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export async function extractorGolden<Options>(
  name: string,
): Promise<{ golden: Golden; found: ExtractorCase<Options> }> {
  const golden = await loadGolden('extractors', name);
  return { golden, found: JSON.parse(golden.metadata.case!) };
}

/** A published state dict without its values. */
export function publishedShapes(published: Readonly<Record<string, Shape>>) {
  return new Map(Object.entries(published).map(([name, shape]) => [name, { shape }]));
}

/** The values that golden_extractors.py draws for a tensor of this name. */
export function drawn(device: Device, name: string, shape: Shape, low: number, high: number) {
  const offset = [...name].reduce(
    (hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0,
    0x811c9dc5,
  );
  return uniform(device, shape, { seed: [7, 0], offset }, low, high);
}

function limits(name: string, shape: Shape): [number, number] {
  if (name.endsWith('running_var')) return [0.5, 1.5];
  if (name.endsWith('weight') && shape.length === 1) return [0.5, 1.5];
  if (name.endsWith('gamma')) return [0.2, 0.8];
  if (!name.endsWith('weight')) return [-0.3, 0.3];
  const bound = Math.sqrt(3 / sizeOf(shape.slice(1)));
  return [-bound, bound];
}

/** Sets every parameter and buffer as golden_extractors.py does. */
export function fill(device: Device, network: Module): void {
  scope(() => {
    for (const [name, tensor] of [...network.namedParameters(), ...network.namedBuffers()]) {
      const values = drawn(device, name, tensor.shape, ...limits(name, tensor.shape));
      device.copy(values.buffer, tensor.buffer, 4 * tensor.size);
      tensor.bumpVersion();
    }
  });
}

/** Sets single values of parameters. */
export async function move(
  network: Module,
  moved: ExtractorCase<unknown>['moved'] = {},
): Promise<void> {
  const parameters = network.namedParameters();
  for (const [name, channels] of Object.entries(moved)) {
    const parameter = parameters.get(name)!;
    const values = await parameter.floats();
    for (const [channel, value] of Object.entries(channels)) values[Number(channel)] = value;
    parameter.assign(values);
  }
}

/** What differs from a golden: some values and gradients, and the norms of all gradients. */
export async function differences(
  golden: Golden,
  { gradNorms, steps = {} }: Pick<ExtractorCase<unknown>, 'gradNorms' | 'steps'>,
  network: Module,
  values: Readonly<Record<string, Tensor>>,
): Promise<string[]> {
  const wrong: string[] = [];
  const parameters = network.namedParameters();
  for (const [key, expected] of golden.tensors) {
    const isGradient = key.startsWith('grad.');
    const tensor = isGradient ? parameters.get(key.slice(5))?.grad : values[key];
    if (!tensor) {
      wrong.push(`${key}: there is none`);
      continue;
    }
    const step = steps[key] ?? 1;
    const data = (await tensor.floats()).filter((_, i) => i % step === 0);
    const shape = step === 1 ? tensor.shape : [data.length];
    const allowed = { relative: isGradient ? 1e-3 : 1e-4, floor: 0 };
    const problem = compare({ shape, data }, floats(expected), allowed);
    if (problem) wrong.push(`${key}: ${problem}`);
  }
  for (const [path, expected] of Object.entries(gradNorms)) {
    const grad = await parameters.get(path)?.grad?.floats();
    const norm = normOf(grad ?? new Float32Array());
    if (!(expected > 0 && Math.abs(norm - expected) <= 1e-3 * expected)) {
      wrong.push(`the gradient of ${path} has the norm ${norm}, expected ${expected}`);
    }
  }
  return wrong;
}

/** In a loop: UNI has 303 million gradients. */
function normOf(values: Float32Array): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}

/** @param make the network of the golden's options */
export async function proveExtractor<Options>(
  device: Device,
  name: string,
  make: (init: Init, options: Options) => Extractor,
): Promise<void> {
  const { golden, found } = await extractorGolden<Options>(name);
  const extractor = make({ device, generator: new Generator(1) }, found.options);
  extractor.train(found.training);
  fill(device, extractor);
  await move(extractor, found.moved);
  const embedding = scope(() => {
    const images = drawn(device, 'images', found.images, -2, 2);
    const result: Tensor = extractor.forward(images);
    backwardFrom(result, drawn(device, 'gradOutput', result.shape, -1, 1));
    return result;
  });
  expect(embedding.shape).toEqual([found.images[0], extractor.width]);
  const wrong = await differences(golden, found, extractor, { output: embedding });
  // All but the classifier behind the embedding, where there is one.
  const reached = [...extractor.namedParameters()].filter(([, { grad }]) => grad);
  expect(reached.map(([path]) => path).sort()).toEqual(Object.keys(found.gradNorms).sort());
  const rest = [...extractor.namedParameters().keys()].filter((path) => !(path in found.gradNorms));
  expect(rest.filter((path) => !/^(fc|classifier)\./.test(path))).toEqual([]);
  embedding.dispose();
  extractor.dispose();
  expect(wrong).toEqual([]);
}
