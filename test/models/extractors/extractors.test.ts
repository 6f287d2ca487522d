/** The extractors of the papers, small, against PyTorch. */
import { describe, expect, it } from 'vitest';
import { backward, noGrad } from '../../../src/autograd/tape.ts';
import { CTransPath } from '../../../src/models/extractors/ctranspath.ts';
import { DenseNet } from '../../../src/models/extractors/densenet.ts';
import { freezeStages } from '../../../src/models/extractors/extractor.ts';
import { ResNet } from '../../../src/models/extractors/resnet.ts';
import { ViT } from '../../../src/models/extractors/vit.ts';
import { trainableParameters, unfreeze } from '../../../src/nn/freeze.ts';
import { observeOps } from '../../../src/ops/op.ts';
import { sum } from '../../../src/ops/reduce.ts';
import { AdamW } from '../../../src/optim/adamw.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { scope } from '../../../src/tensor/scope.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import { expectError } from '../../data/expect-error.ts';
import { testDevice } from '../../device.ts';
import { drawn, extractorGolden, fill, proveExtractor } from './prove-extractor.ts';

const SWIN = { width: 24, depths: [1, 1], heads: [3, 6], window: 7, size: 56 };
const RESNET = { block: 'basic', depths: [1, 1, 1, 1], stem: 4 } as const;

// The operations and blocks are proven in both tunings; compiling them again for whole networks takes minutes.
describe('agree with PyTorch in embedding and all gradients', () => {
  it.each(['resnet-basic', 'resnet-bottleneck'])('%s', async (name) => {
    await proveExtractor(
      await testDevice(),
      name,
      (init, options: typeof RESNET) => new ResNet(init, options),
    );
  });
  it('densenet', async () => {
    await proveExtractor(
      await testDevice(),
      'densenet',
      (init, options: ConstructorParameters<typeof DenseNet>[1]) => new DenseNet(init, options),
    );
  });
  it.each(['vit', 'vit-resampled'])('%s', async (name) => {
    await proveExtractor(
      await testDevice(),
      name,
      (init, options: ConstructorParameters<typeof ViT>[1]) => new ViT(init, options),
    );
  });
  it('ctranspath', async () => {
    await proveExtractor(
      await testDevice(),
      'ctranspath',
      (init, options: typeof SWIN) => new CTransPath(init, options),
    );
  });
});

describe('extractors', () => {
  it('give what they pool, too', async () => {
    const device = await testDevice();
    const { found } = await extractorGolden<ConstructorParameters<typeof ViT>[1]>('vit');
    const init = { device, generator: new Generator(1) };
    const vit = new ViT(init, found.options);
    const swin = new CTransPath(init, SWIN).eval();
    const resnet = new ResNet(init, RESNET).eval();
    const images = drawn(device, 'images', [2, 3, 32, 32], -2, 2);
    const tiles = drawn(device, 'images', [2, 3, 56, 56], -2, 2);
    const [tokens, cls] = [vit.tokens(images), vit.forward(images)];
    expect(tokens.shape).toEqual([2, 17, 128]);
    const all = await tokens.floats();
    const first = [...all.slice(0, 128), ...all.slice(17 * 128, 18 * 128)];
    const embedding = [...(await cls.floats())];
    const apart = embedding.map((value, i) => Math.abs(value - first[i]!));
    expect(Math.max(...apart)).toBeLessThan(1e-5);
    expect(swin.tokens(tiles).shape).toEqual([2, 49, 48]);
    expect(resnet.featureMap(tiles).shape).toEqual([2, 32, 2, 2]);
  });

  it('free all their memory', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const init = { device, generator: new Generator(1) };
    const vit = { width: 64, depth: 1, heads: 1, hidden: 64, patch: 8, size: 32, layerScale: 1 };
    const dense = { depths: [1, 1], growth: 2, stem: 4 };
    const make = [new ResNet(init, RESNET), new DenseNet(init, dense), new ViT(init, vit)];
    for (const extractor of [...make, new CTransPath(init, SWIN)]) {
      const images = () => Tensor.zeros(device, [1, 3, 56, 56]);
      scope(() => void noGrad(() => extractor.eval().forward(images())));
      extractor.dispose();
    }
    expect(device.memory.live).toBe(before);
  });

  it('refuse images that they cannot cut', async () => {
    const device = await testDevice();
    const init = { device, generator: new Generator(1) };
    const vit = { width: 64, depth: 1, heads: 1, hidden: 64, patch: 8, size: 32, layerScale: null };
    const images = Tensor.zeros(device, [1, 3, 60, 64]);
    await expectError(() => new ViT(init, vit).forward(images), 'shape', /multiples of 8.*60, 64/);
    await expectError(
      () => new CTransPath(init, SWIN).forward(images),
      'shape',
      /\[N, 3, 56, 56\].*60, 64/,
    );
    await expectError(
      () => new CTransPath(init, { ...SWIN, size: 80 }),
      'option',
      /80 pixels give grids of 20, 10 tokens/,
    );
  });

  it('free intermediate values as they go where no gradient is asked for', async () => {
    const device = await testDevice();
    const resnet = new ResNet({ device, generator: new Generator(1) }, RESNET).eval();
    const images = Tensor.zeros(device, [4, 3, 64, 64]);
    const before = device.memory.live;
    const peakOf = (run: () => Tensor) => {
      let peak = 0;
      const see = () => {
        peak = Math.max(peak, device.memory.live - before);
      };
      scope(() => void observeOps(see, run));
      return peak;
    };
    const training = peakOf(() => resnet.forward(images));
    const extracting = peakOf(() => noGrad(() => resnet.forward(images)));
    freezeStages(resnet, 5);
    expect(extracting).toBeLessThan(0.5 * training);
    expect(peakOf(() => resnet.forward(images))).toBe(extracting);
    expect(device.memory.live).toBe(before);
  });
});

describe('freezeStages', () => {
  it('trains what is behind, and leaves the statistics in front alone', async () => {
    const device = await testDevice();
    const resnet = new ResNet({ device, generator: new Generator(1) }, RESNET);
    fill(device, resnet);
    const images = drawn(device, 'images', [2, 3, 64, 64], -2, 2);
    const optimizer = new AdamW(resnet.namedParameters(), { lr: 0.1, weightDecay: 0.1 });
    const before = await resnet.stateDict();
    freezeStages(resnet, 3); // the stem, layer1 and layer2
    resnet.train();
    scope(() => {
      backward(sum(resnet.forward(images)));
      optimizer.step();
    });
    const after = await resnet.stateDict();
    const moved = [...before.keys()].filter(
      (name) => before.get(name)!.data.join() !== after.get(name)!.data.join(),
    );
    expect(moved).toEqual([...before.keys()].filter((name) => /^layer[34]/.test(name)));
    const trained = [...trainableParameters(resnet).keys()];
    expect(trained).toEqual(moved.filter((name) => !name.includes('running')));
    unfreeze(resnet, ['layer2.0']);
    expect([...trainableParameters(resnet).keys()][0]).toBe('layer2.0.conv1.weight');
    for (const count of [-1, 6, 1.5]) {
      await expectError(
        () => freezeStages(resnet, count),
        'option',
        /0 to 5 stages.*\n.*conv1 \+ bn1/,
      );
    }
  });

  it('knows the stages of every extractor: each parameter is in one', async () => {
    const device = await testDevice();
    const init = { device, generator: new Generator(1) };
    const vit = { width: 64, depth: 2, heads: 1, hidden: 64, patch: 8, size: 32, layerScale: null };
    const extractors = [
      new ResNet(init, RESNET),
      new DenseNet(init, { depths: [1, 2], growth: 2, stem: 4 }),
      new ViT(init, vit),
      new CTransPath(init, SWIN),
    ];
    for (const extractor of extractors) {
      const names = extractor.stages.flat();
      const count = (path: string) =>
        names.filter((name) => path === name || path.startsWith(`${name}.`)).length;
      const wrong = [...extractor.namedParameters().keys()].filter((path) => count(path) !== 1);
      expect(wrong).toEqual([]);
      freezeStages(extractor, extractor.stages.length);
      expect(trainableParameters(extractor).size).toBe(0);
    }
  });
});
