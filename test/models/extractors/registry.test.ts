import { describe, expect, it } from 'vitest';
import {
  createExtractor,
  EXTRACTORS,
  type ExtractorName,
  inferExtractor,
} from '../../../src/models/extractors/registry.ts';
import type { Shapes } from '../../../src/models/extractors/state.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { expectError } from '../../data/expect-error.ts';
import { testDevice } from '../../device.ts';
import { extractorGolden, publishedShapes } from './prove-extractor.ts';

/** The state dict under its published names makes a network with these parameters and buffers, and no others. */
async function expectFits(name: ExtractorName, state: Shapes): Promise<void> {
  expect(inferExtractor(state)).toBe(name);
  const device = await testDevice();
  const extractor = createExtractor(name, { device, generator: new Generator(1) }, state);
  const own = [...extractor.namedParameters(), ...extractor.namedBuffers()];
  const shapesOf = (entries: Iterable<[string, { shape: readonly number[] }]>) =>
    [...entries].map(([path, { shape }]) => `${path} [${shape.join(', ')}]`).sort();
  expect(shapesOf(EXTRACTORS[name].rename(state))).toEqual(shapesOf(own));
  expect(extractor.preprocessing).toBe(EXTRACTORS[name].preprocessing);
  extractor.dispose();
}

async function published(golden: string): Promise<Shapes> {
  return publishedShapes((await extractorGolden(golden)).found.published);
}

function under(state: Shapes, rename: (name: string) => string): Shapes {
  return new Map([...state].map(([name, value]) => [rename(name), value]));
}

describe('a published state dict', () => {
  it.each([
    ['densenet', 'densenet121'],
    ['vit', 'vit-s16'],
    ['vit-resampled', 'uni'],
    ['full-vit-s16', 'vit-s16'],
    ['full-resnet18', 'resnet18'],
    ['ctranspath', 'ctranspath'],
  ] as const)('%s makes %s of its sizes', async (golden, name) => {
    await expectFits(name, await published(golden));
  });

  it('may have the names of DenseNet before 2018', async () => {
    const old = under(await published('densenet'), (name) =>
      name.replace(/(denselayer\d+\.(?:norm|conv))([12])/, '$1.$2'),
    );
    expect([...old.keys()]).toContain('features.denseblock2.denselayer3.norm.2.weight');
    await expectFits('densenet121', old);
  });

  it('may have the buffers of timm 0.5.4, or the names of timm 0.9', async () => {
    const state = await published('ctranspath');
    const buffers = new Map(state);
    buffers.set('layers.0.blocks.0.attn.relative_position_index', { shape: [49, 49] });
    buffers.set('layers.0.blocks.1.attn_mask', { shape: [4, 49, 49] });
    buffers.set('head.weight', { shape: [5, 48] });
    await expectFits('ctranspath', buffers);
    const later = under(state, (name) =>
      name.replace('layers.0.downsample', 'layers.1.downsample'),
    );
    expect([...later.keys()].join()).not.toContain('layers.0.downsample');
    await expectFits('ctranspath', new Map([...later, ['head.fc.weight', { shape: [5, 48] }]]));
  });

  it('of another network is refused', async () => {
    const foreign = new Map([['encoder.weight', { shape: [3, 4] }]]);
    await expectError(
      () => inferExtractor(foreign),
      'checkpoint-mismatch',
      /1 tensors \(encoder.weight.*none of the extractors resnet18, resnet34/,
    );
    const registers = new Map(await published('vit'));
    registers.set('pos_embed', { shape: [1, 16, 128] });
    await expectError(() => inferExtractor(registers), 'checkpoint-mismatch', /one position more/);
    // A ViT-H has 16 heads of 80, where 20 of 64 would fit the shapes as well.
    const huge = new Map(await published('vit'));
    huge.set('cls_token', { shape: [1, 1, 1280] });
    await expectError(() => inferExtractor(huge), 'checkpoint-mismatch', /heads are 64 wide/);
  });

  it('of unpublished depths is not taken for a published ResNet', async () => {
    const state = await published('resnet-bottleneck');
    await expectError(() => inferExtractor(state), 'checkpoint-mismatch', /none of the extractors/);
  });
});
