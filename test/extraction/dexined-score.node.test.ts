/** The selector `dexined`, with weights drawn at random; the network itself is in test/models/dexined.node.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withDexiNed } from '../../src/cli/select-options.ts';
import { serializeSafetensors } from '../../src/data/safetensors.ts';
import { dexinedScore, openDexiNed } from '../../src/extraction/dexined-score.ts';
import { DexiNed } from '../../src/models/dexined.ts';
import { RESNET18, ResNet } from '../../src/models/extractors/resnet.ts';
import type { StateTensor } from '../../src/nn/module.ts';
import { selectTiles } from '../../src/slides/select-tiles.ts';
import type { RgbImage } from '../../src/slides/slide.ts';
import { planTiles, readTile } from '../../src/slides/tiling.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { fill } from '../models/extractors/prove-extractor.ts';
import { memorySlide, tissue, tissuePixel } from '../slides/pictures.ts';

let network: DexiNed;
let state: ReadonlyMap<string, StateTensor>;

beforeAll(async () => {
  const device = await testDevice();
  network = new DexiNed({ device, generator: new Generator(1) }).eval();
  fill(device, network);
  // Images go to 255: without this the normalisations behind are far from what they see.
  const first = network.block_1.conv1.weight;
  first.assign((await first.floats()).map((value) => value / 20));
  state = await network.stateDict();
});
afterAll(() => network.dispose());

function fileOf(tensors: ReadonlyMap<string, StateTensor>): Uint8Array {
  const entries = [...tensors].map(
    ([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }] as const,
  );
  return serializeSafetensors(new Map(entries));
}

/** Steps one by one: BGR less the mean colour, the network, its last map as probabilities, their mean. */
async function byHand({ width, height, data }: RgbImage): Promise<number> {
  const device = await testDevice();
  const plane = width * height;
  const mean = [103.939, 116.779, 123.68];
  const images = new Float32Array(3 * plane);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < plane; i++) images[c * plane + i] = data[3 * i + 2 - c]! - mean[c]!;
  }
  const map = scope(
    () => network.forward(Tensor.from(device, images, [1, 3, height, width])).at(-1)!,
  );
  const logits = await map.floats();
  map.dispose();
  return logits.reduce((sum, logit) => sum + 1 / (1 + Math.exp(-logit)), 0) / plane;
}

describe('the selector dexined', () => {
  it('scores tiles by the mean probability of an edge, and keeps the highest', async () => {
    const device = await testDevice();
    const white = [244, 244, 243] as const;
    const slide = memorySlide(96, 64, (x, y) => (x < 32 ? white : tissuePixel(x, y, 3)), {
      mpp: 0.5,
    });
    const plan = planTiles(slide, { mpp: 0.5, size: 32 });
    const live = device.memory.live;
    const { kept, scores, threshold } = await selectTiles(slide, plan, {
      tissue: 'none',
      selector: 'dexined',
      keep: { fraction: 0.5 },
      scoreTile: dexinedScore(device, network),
      atOnce: 2,
    });
    expect(device.memory.live).toBe(live);
    const expected: number[] = [];
    for (const tile of plan.tiles) expected.push(await byHand(await readTile(slide, plan, tile)));
    expect(expected).toHaveLength(6);
    expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(0.01);
    for (const [i, score] of scores.entries()) {
      expect(Math.abs(score - expected[i]!)).toBeLessThan(1e-5);
    }
    const best = [...expected.keys()].sort((a, b) => expected[b]! - expected[a]!).slice(0, 3);
    expect([...kept]).toEqual(best.sort((a, b) => a - b));
    expect(threshold).toBe(Math.min(...kept.map((i) => scores[i]!)));
  });

  it('leaves out what SEQUOIA’s rule drops', async () => {
    const slide = memorySlide(96, 32, (x, y) => (x < 64 ? tissuePixel(x, y, 3) : [205, 120, 170]), {
      mpp: 0.5,
    });
    const plan = planTiles(slide, { mpp: 0.5, size: 32 });
    const asked: RgbImage[] = [];
    const scoreTile = async (tile: RgbImage) => asked.push(tile);
    const options = { tissue: 'sequoia', selector: 'dexined', keep: { above: 0 } } as const;
    const { kept, scores } = await selectTiles(slide, plan, { ...options, scoreTile });
    expect([...kept]).toEqual([0, 1]);
    expect([...scores]).toEqual([1, 2, Number.NaN]);
    expect(asked[1]).toEqual(await readTile(slide, plan, plan.tiles[1]!));
  });

  it('enlarges tiles whose side is no multiple of 16 to the next', async () => {
    const device = await testDevice();
    const score = dexinedScore(device, network);
    const odd = await score(tissue(40, 40, 1));
    expect(odd).toBeGreaterThan(0);
    expect(odd).toBeLessThan(1);
    // Of one colour, the enlarged tile is the tile of the next size.
    const grey = (side: number) => ({
      width: side,
      height: side,
      data: new Uint8Array(3 * side * side).fill(90),
    });
    expect(Math.abs((await score(grey(40))) - (await score(grey(48))))).toBeLessThan(1e-5);
    expect(Math.abs((await score(grey(32))) - (await score(grey(48))))).toBeGreaterThan(1e-4);
  });

  it('goes with its network, and no other does', async () => {
    const slide = memorySlide(64, 32, () => [120, 80, 160], { mpp: 0.5 });
    const plan = planTiles(slide, { mpp: 0.5, size: 32 });
    const keep = { sigmas: 1 };
    await expectError(
      () => selectTiles(slide, plan, { selector: 'dexined', keep }),
      'selector',
      /"dexined" is given, but no scoreTile/,
    );
    const scoreTile = async () => 1;
    await expectError(
      () => selectTiles(slide, plan, { selector: 'ig', keep, scoreTile }),
      'selector',
      /which selector "ig" does not use/,
    );
  });
});

describe('the weights of DexiNed', () => {
  it('load from a file, and the settings name them by their hash', async () => {
    const device = await testDevice();
    const choice = { selector: 'dexined', keep: { sigmas: 1 } } as const;
    const { select, said } = withDexiNed(device, choice, fileOf(state), 'dexined.safetensors');
    const tile = tissue(32, 32, 5);
    expect(await select.scoreTile!(tile)).toBe(await dexinedScore(device, network)(tile));
    expect(JSON.parse(JSON.stringify(said))).toEqual({
      ...choice,
      dexined: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('of another network, or incomplete, are refused', async () => {
    const device = await testDevice();
    const open = (bytes: Uint8Array) => () => openDexiNed(device, bytes, 'w.safetensors');
    const live = device.memory.live;
    const other = new ResNet({ device, generator: new Generator(1) }, { ...RESNET18, stem: 4 });
    const resnet = fileOf(await other.stateDict());
    other.dispose();
    await expectError(
      open(resnet),
      'checkpoint-mismatch',
      /w\.safetensors does not fit.*\(bn1\.bias.*The network is DexiNed\.\n.*xavysp\/DexiNed/,
    );
    const without = new Map(state);
    without.delete('block_cat.conv.bias');
    await expectError(
      open(fileOf(without)),
      'checkpoint-mismatch',
      /missing: block_cat\.conv\.bias/,
    );
    await expectError(
      open(new TextEncoder().encode('<html>')),
      'unknown-weights',
      /w\.safetensors/,
    );
    expect(device.memory.live).toBe(live);
  });

  it('that are damaged give no number, which is said', async () => {
    const device = await testDevice();
    const bias = state.get('block_cat.conv.bias')!;
    const broken = new Map(state).set('block_cat.conv.bias', {
      ...bias,
      data: Float32Array.of(Number.NaN),
    });
    const damaged = openDexiNed(device, fileOf(broken), 'w.safetensors');
    await expectError(
      () => dexinedScore(device, damaged)(tissue(32, 32, 1)),
      'non-finite-score',
      /NaN/,
    );
    damaged.dispose();
  });
});
