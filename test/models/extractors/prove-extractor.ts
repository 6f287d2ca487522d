/**
 * The proof that every extractor owes: with the weights that test/reference/golden_extractors.py draws, under their
 * published names, it gives PyTorch's embedding and gradients, and says which network the names are of.
 */
import { expect } from 'vitest';
import { backwardFrom } from '../../../src/autograd/tape.ts';
import type { Device } from '../../../src/gpu/device.ts';
import type { Extractor } from '../../../src/models/extractors/extractor.ts';
import type { Init } from '../../../src/nn/layers.ts';
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
  /** Of the gradient of every parameter. */
  readonly gradNorms: Readonly<Record<string, number>>;
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
export function fill(device: Device, extractor: Extractor): void {
  scope(() => {
    for (const [name, tensor] of [...extractor.namedParameters(), ...extractor.namedBuffers()]) {
      const values = drawn(device, name, tensor.shape, ...limits(name, tensor.shape));
      device.copy(values.buffer, tensor.buffer, 4 * tensor.size);
      tensor.bumpVersion();
    }
  });
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
  const embedding = scope(() => {
    const images = drawn(device, 'images', found.images, -2, 2);
    const result: Tensor = extractor.forward(images);
    backwardFrom(result, drawn(device, 'gradOutput', result.shape, -1, 1));
    return result;
  });
  expect(embedding.shape).toEqual([found.images[0], extractor.width]);
  const wrong: string[] = [];
  const check = async (what: string, tensor: Tensor | null, key: string, relative: number) => {
    const problem = tensor
      ? compare({ shape: tensor.shape, data: await tensor.floats() }, floats(golden.tensor(key)), {
          relative,
          floor: 1e-6,
        })
      : 'there is none';
    if (problem) wrong.push(`${what}: ${problem}`);
  };
  await check('embedding', embedding, 'output', 1e-4);
  const parameters = extractor.namedParameters();
  expect([...parameters.keys()].sort()).toEqual(Object.keys(found.gradNorms).sort());
  for (const key of golden.tensors.keys()) {
    if (!key.startsWith('grad.')) continue;
    await check(key, parameters.get(key.slice(5))?.grad ?? null, key, 1e-3);
  }
  for (const [path, expected] of Object.entries(found.gradNorms)) {
    const grad = await parameters.get(path)?.grad?.floats();
    const norm = Math.sqrt(
      (grad ?? new Float32Array()).reduce((sum, value) => sum + value * value, 0),
    );
    if (!(expected > 0 && Math.abs(norm - expected) <= 1e-3 * expected)) {
      wrong.push(`the gradient of ${path} has the norm ${norm}, expected ${expected}`);
    }
  }
  embedding.dispose();
  extractor.dispose();
  expect(wrong).toEqual([]);
}
