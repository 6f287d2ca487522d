/** Extractors of published size at 224 pixels against PyTorch; UNI with one of its 24 blocks. */
import { expect, it } from 'vitest';
import { CTRANSPATH, CTransPath } from '../../../src/models/extractors/ctranspath.ts';
import { DENSENET121, DenseNet } from '../../../src/models/extractors/densenet.ts';
import {
  RESNET34,
  RESNET50,
  ResNet,
  type ResNetOptions,
} from '../../../src/models/extractors/resnet.ts';
import { ViT, type ViTOptions } from '../../../src/models/extractors/vit.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { testDevice } from '../../device.ts';
import { proveExtractor } from './prove-extractor.ts';

it('ResNet18 agrees with PyTorch', async () => {
  const make = (...[init, options]: [ConstructorParameters<typeof ResNet>[0], ResNetOptions]) =>
    new ResNet(init, options);
  await proveExtractor(await testDevice(), 'full-resnet18', make);
});

it.each([
  ['ViT-S/16', 'full-vit-s16'],
  ['UNI of depth 1', 'full-uni-depth-1'],
])('%s agrees with PyTorch', async (_, name) => {
  const device = await testDevice();
  await proveExtractor(device, name, (init, options: ViTOptions) => new ViT(init, options));
});

it('the others have as many parameters as published', async () => {
  const device = await testDevice();
  const init = { device, generator: new Generator(1) };
  // Those of torchvision's and timm's networks, less their classifiers of 1,000 classes.
  const published = [
    [() => new ResNet(init, RESNET34), 21_797_672 - 513_000],
    [() => new ResNet(init, RESNET50), 25_557_032 - 2_049_000],
    [() => new DenseNet(init, DENSENET121), 7_978_856 - 1_025_000],
    // Swin-T's, with three convolutions and two norms instead of one convolution.
    [() => new CTransPath(init, CTRANSPATH), 28_288_354 - 769_000 - 4_704 + 5_388],
  ] as const;
  for (const [make, expected] of published) {
    const extractor = make();
    expect(extractor.parameterCount()).toBe(expected);
    extractor.dispose();
  }
});
