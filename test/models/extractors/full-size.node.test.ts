/**
 * Every extractor in its published size, on an image of 224 pixels (SqueezeNet 227), against PyTorch from the same random
 * state dict: the embedding, gradients of the first and the last layer, and the norms of all others.
 */
import { freemem } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device } from '../../../src/gpu/device.ts';
import { CTRANSPATH, CTransPath } from '../../../src/models/extractors/ctranspath.ts';
import { DENSENET121, DenseNet } from '../../../src/models/extractors/densenet.ts';
import { createExtractor } from '../../../src/models/extractors/registry.ts';
import { RESNET34, RESNET50, ResNet } from '../../../src/models/extractors/resnet.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { extractorGolden, proveExtractor, publishedShapes } from './prove-extractor.ts';

/** Not the one that tests share: its pool would keep the gigabytes of UNI for those that follow. */
let device: Device;
beforeAll(async () => {
  device = await Device.open();
});
afterAll(() => device.close());

const NETWORKS = [
  ['full-resnet18', 'resnet18'],
  ['full-resnet34', 'resnet34'],
  ['full-resnet50', 'resnet50'],
  ['full-densenet121', 'densenet121'],
  ['full-vit-s16', 'vit-s16'],
  ['full-uni', 'uni'],
  ['full-ctranspath', 'ctranspath'],
  ['full-shufflenet', 'shufflenet'],
  ['full-squeezenet', 'squeezenet'],
  ['full-mobilenet', 'mobilenet'],
  ['full-mobilenet-torchvision', 'mobilenet-torchvision'],
] as const;

/** UNI's 303 million parameters with their gradients, on an adapter whose memory is the machine's, and its JavaScript copies. */
const UNI_BYTES = 8 * 2 ** 30;

it.for(NETWORKS)(
  '%s agrees with PyTorch',
  { timeout: 300_000 },
  async ([golden, name], { skip }) => {
    if (name === 'uni' && freemem() < UNI_BYTES) skip('less than 8 GiB of memory are free');
    const { found } = await extractorGolden(golden);
    const state = publishedShapes(found.published);
    await proveExtractor(device, golden, (init) => createExtractor(name, init, state));
  },
);

it('have as many parameters as published', () => {
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
