/** Pretrained means pretrained: the three networks with their real weights, on a photograph and on real tissue. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { backwardFrom, noGrad } from '../../../src/autograd/tape.ts';
import { readCheckpoint } from '../../../src/data/node/read-checkpoint.ts';
import type { Preprocessing } from '../../../src/models/extractors/extractor.ts';
import { loadWeights } from '../../../src/models/extractors/load-weights.ts';
import { MobileNet } from '../../../src/models/extractors/mobilenet.ts';
import { preprocess } from '../../../src/models/extractors/preprocess.ts';
import { createExtractor, inferExtractor } from '../../../src/models/extractors/registry.ts';
import { ShuffleNet, TCGA_TILES } from '../../../src/models/extractors/shufflenet.ts';
import { SqueezeNet } from '../../../src/models/extractors/squeezenet.ts';
import { BatchNorm2d } from '../../../src/nn/batch-norm.ts';
import { reshape } from '../../../src/ops/layout.ts';
import { mean } from '../../../src/ops/reduce.ts';
import { square } from '../../../src/ops/unary.ts';
import { decodeJpeg } from '../../../src/slides/jpeg.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { keep, scope } from '../../../src/tensor/scope.ts';
import type { Tensor } from '../../../src/tensor/tensor.ts';
import { testDevice } from '../../device.ts';
import { compare, floats } from '../../ops/prove.ts';
import { loadGolden } from '../../reference/goldens.ts';
import { drawn, move } from './prove-extractor.ts';

const DATA = new URL('../../../../shared/data/', import.meta.url);
const WEIGHTS = {
  squeezenet: 'squeezenet1_0_imagenet',
  mobilenet: 'mobilenet_v2_1.0_224_imagenet',
  shufflenet: 'shufflenet_v1_g4_tcga_msi_histology',
};
const open = (name: keyof typeof WEIGHTS) =>
  readCheckpoint(new URL(`weights/${WEIGHTS[name]}.safetensors`, DATA).pathname);
const withData = it.skipIf(!existsSync(DATA));

async function decode(bytes: Uint8Array) {
  const options = { colour: 'guess' as const, maxPixels: 1e6 };
  return decodeJpeg(bytes, options, 'test', 'the picture');
}

/** The classifier's probabilities, highest first. */
async function ranking(logits: Tensor): Promise<{ index: number; probability: number }[]> {
  const values = [...(await logits.floats())];
  const highest = Math.max(...values);
  const total = values.reduce((sum, value) => sum + Math.exp(value - highest), 0);
  return values
    .map((value, index) => ({ index, probability: Math.exp(value - highest) / total }))
    .sort((a, b) => b.probability - a.probability);
}

describe('a photograph of an espresso', () => {
  const ESPRESSO = 967;
  const classified = async (name: 'squeezenet' | 'mobilenet', change: Partial<Preprocessing>) => {
    const device = await testDevice();
    const checkpoint = await open(name);
    expect(inferExtractor(checkpoint.tensors)).toBe(name);
    const init = { device, generator: new Generator(1) };
    const net = createExtractor(name, init, checkpoint.tensors).eval();
    expect(loadWeights(net, checkpoint)).toMatchObject({
      missing: [],
      unexpected: [],
      ignored: [],
    });
    if (!(net instanceof SqueezeNet || net instanceof MobileNet))
      throw new Error('another network');
    const file = new URL('./fixtures/espresso.jpg', import.meta.url);
    const { data, width, height } = await decode(new Uint8Array(readFileSync(file)));
    const used = { ...net.preprocessing, ...change };
    const logits = noGrad(() =>
      scope(() => net.classify(preprocess(device, data, [1, height, width], used))),
    );
    const result = await ranking(logits);
    logits.dispose();
    net.dispose();
    return result;
  };

  // PyTorch on the same weights, resized by PIL: 0.978 and 0.899.
  withData('is one for SqueezeNet, by a wide margin, unless its channels are swapped', async () => {
    const [first, second] = await classified('squeezenet', {});
    expect(first!.index).toBe(ESPRESSO);
    expect(first!.probability).toBeGreaterThan(0.9);
    expect(second!.probability).toBeLessThan(0.05);
    const [swapped] = await classified('squeezenet', { channels: 'rgb' });
    expect(swapped!.index).not.toBe(ESPRESSO);
  });

  withData('is one for MobileNetV2, whose class 0 is the background', async () => {
    const [first, second] = await classified('mobilenet', {});
    expect(first!.index).toBe(ESPRESSO + 1);
    expect(first!.probability).toBeGreaterThan(0.8);
    expect(second!.probability).toBeLessThan(0.1);
  });
});

describe('at full size, with their real weights', () => {
  withData.each(['shufflenet', 'squeezenet', 'mobilenet'] as const)(
    '%s agrees with PyTorch (test/reference/golden_pretrained.py)',
    async (name) => {
      const device = await testDevice();
      const golden = await loadGolden('extractors', `real-${name}`);
      const net = createExtractor(name, { device, generator: new Generator(1) }).eval();
      loadWeights(net, await open(name));
      // Some 50 to 200 biases, so that no unit is so close to its kink that float32 decides on which side it is.
      await move(net, JSON.parse(golden.metadata.moved!));
      const size = Number(golden.metadata.size);
      expect(size).toBe(net.preprocessing.size);
      const embedding = scope(() => {
        const result = net.forward(drawn(device, 'images', [1, 3, size, size], -2, 2));
        backwardFrom(result, drawn(device, 'gradOutput', result.shape, -1, 1));
        return result;
      });
      const parameters = net.namedParameters();
      const wrong: string[] = [];
      for (const key of golden.tensors.keys()) {
        const found = key === 'output' ? embedding : parameters.get(key.slice(5))?.grad;
        const relative = key === 'output' ? 1e-4 : 1e-3;
        const data = { shape: found!.shape, data: await found!.floats() };
        const problem = compare(data, floats(golden.tensor(key)), { relative, floor: 0 });
        if (problem) wrong.push(`${key}: ${problem}`);
      }
      expect(golden.tensors.size).toBe(3);
      expect(wrong).toEqual([]);
      const without = [...parameters].filter(([, { grad }]) => !grad).map(([path]) => path);
      expect(without.filter((path) => !/^(fc|classifier)\./.test(path))).toEqual([]);
      embedding.dispose();
      net.dispose();
    },
  );
});

describe('ShuffleNet on real H&E', () => {
  const TILES = 8;
  async function tiles(section: string): Promise<Uint8Array> {
    const folder = new URL('her2st-mini/crops224/', DATA);
    const index: [number, number][] = JSON.parse(
      readFileSync(new URL(`${section}.index.json`, folder), 'utf8'),
    );
    const bytes = new Uint8Array(readFileSync(new URL(`${section}.jpgs`, folder)));
    const step = Math.floor(index.length / TILES);
    const pixels = new Uint8Array(TILES * 224 * 224 * 3);
    for (let i = 0; i < TILES; i++) {
      const [start, length] = index[i * step]!;
      const { data } = await decode(bytes.subarray(start, start + length));
      pixels.set(data, i * 224 * 224 * 3);
    }
    return pixels;
  }

  /** How far each normalisation's input is from the statistics it keeps: medians over channels, averaged over layers. */
  async function disagreement(net: ShuffleNet, pixels: Uint8Array, used: Preprocessing) {
    const seen: { bn: BatchNorm2d; mean: Tensor; squares: Tensor }[] = [];
    const restore: (() => void)[] = [];
    for (const [, bn] of net.namedModules()) {
      if (!(bn instanceof BatchNorm2d)) continue;
      const forward = bn.forward.bind(bn);
      bn.forward = (x) => {
        const [n, c, h, w] = x.shape as [number, number, number, number];
        const channels = (values: Tensor) => mean(mean(reshape(values, [n, c, h * w]), 2), 0);
        seen.push({ bn, mean: keep(channels(x)), squares: keep(channels(square(x))) });
        return forward(x);
      };
      restore.push(() => Reflect.deleteProperty(bn, 'forward'));
    }
    noGrad(() =>
      scope(
        () => void net.forward(preprocess(net.fc.weight.device, pixels, [TILES, 224, 224], used)),
      ),
    );
    for (const undo of restore) undo();
    const means: number[] = [];
    const variances: number[] = [];
    for (const { bn, mean, squares } of seen) {
      const [m, s] = [await mean.floats(), await squares.floats()];
      const [rm, rv] = [await bn.running_mean.floats(), await bn.running_var.floats()];
      means.push(median(m.map((value, i) => Math.abs(value - rm[i]!) / Math.sqrt(rv[i]!))));
      const variance = s.map((value, i) => Math.max(value - m[i]! ** 2, 1e-6 * rv[i]!));
      variances.push(median(variance.map((value, i) => Math.abs(Math.log(value / rv[i]!)))));
      mean.dispose();
      squares.dispose();
    }
    const average = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    return { layers: seen.length, mean: average(means), variance: average(variances) };
  }

  withData('its normalisations keep the statistics of what they see', async () => {
    const device = await testDevice();
    const checkpoint = await open('shufflenet');
    const read = (key: string) => [...checkpoint.tensors.get(key)!.values()];
    const close = (a: readonly number[], b: readonly number[]) =>
      expect(Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))).toBeLessThan(1e-4);
    close(read('input_mean'), TCGA_TILES.mean);
    close(read('input_std'), TCGA_TILES.std);

    const net = new ShuffleNet({ device, generator: new Generator(1) }).eval();
    const report = loadWeights(net, checkpoint);
    expect(report).toMatchObject({
      missing: [],
      unexpected: [],
      ignored: ['input_mean', 'input_std'],
    });
    const pixels = await tiles('C3');
    // Measured 0.2 deviations and a factor of 1.3 between variances; other tissue, scanner and staining are in that.
    const right = await disagreement(net, pixels, net.preprocessing);
    expect(right.layers).toBe(49);
    expect(right.mean).toBeLessThan(0.25);
    expect(right.variance).toBeLessThan(0.4);
    // From 0 to 1, without its mean and deviation; and from 0 to 255.
    for (const scale of [1 / 255, 1]) {
      const plain = { ...net.preprocessing, mean: [0, 0, 0], std: [1, 1, 1], scale } as const;
      const wrong = await disagreement(net, pixels, plain);
      expect(wrong.mean).toBeGreaterThan(1.3 * right.mean);
      expect(wrong.variance).toBeGreaterThan(2 * right.variance);
    }
    net.dispose();
  });
});

function median(values: ArrayLike<number>): number {
  const sorted = Array.from(values).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
