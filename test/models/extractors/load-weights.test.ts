import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../../src/data/checkpoint.ts';
import { serializeSafetensors } from '../../../src/data/safetensors.ts';
import { type LoadOptions, loadWeights } from '../../../src/models/extractors/load-weights.ts';
import { MobileNet } from '../../../src/models/extractors/mobilenet.ts';
import {
  createExtractor,
  EXTRACTOR_NAMES,
  EXTRACTORS,
  inferExtractor,
} from '../../../src/models/extractors/registry.ts';
import { ResNet } from '../../../src/models/extractors/resnet.ts';
import { ShuffleNet } from '../../../src/models/extractors/shufflenet.ts';
import { SQUEEZENET, SqueezeNet } from '../../../src/models/extractors/squeezenet.ts';
import type { Init } from '../../../src/nn/layers.ts';
import type { Module, StateTensor } from '../../../src/nn/module.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { expectError } from '../../data/expect-error.ts';
import { testDevice } from '../../device.ts';

const SIZES = { block: 'basic', depths: [2, 2, 2, 2], stem: 2 } as const;
const init = async (seed: number): Promise<Init> => ({
  device: await testDevice(),
  generator: new Generator(seed),
});

/** A file of a module's values, under other names. */
async function fileOf(
  module: Module,
  rename: (name: string) => string | null = (name) => name,
  more: Record<string, StateTensor> = {},
): Promise<Checkpoint> {
  const state = [...(await module.stateDict()), ...Object.entries(more)];
  const tensors = state.flatMap(([name, { shape, data }]) => {
    const own = name in more ? name : rename(name);
    return own === null ? [] : [[own, { shape, values: () => Float32Array.from(data) }] as const];
  });
  return { name: 'file.pth', tensors: new Map(tensors) };
}

const scalar = { shape: [], data: new Float32Array(1) };

async function sameState(a: Module, b: Module): Promise<void> {
  expect(await a.stateDict()).toEqual(await b.stateDict());
}

describe('loadWeights', () => {
  it('reads files of bytes', async () => {
    const source = new ResNet(await init(1), SIZES);
    const target = new ResNet(await init(2), SIZES);
    const state = new Map(
      [...(await source.stateDict())].map(([name, { shape, data }]) => [
        name,
        { shape, data: Float32Array.from(data) },
      ]),
    );
    const report = loadWeights(target, serializeSafetensors(state));
    expect(report).toMatchObject({ missing: [], unexpected: [], ignored: [], prefix: '' });
    expect(report.loaded.length).toBe(state.size);
    await sameState(source, target);
    source.dispose();
    target.dispose();
  });

  it.each(['module.', 'model.resnet.', 'teacher.module.backbone.', '_orig_mod.model.encoder.'])(
    'takes off %s, and leaves heads and counts alone',
    async (prefix) => {
      const source = new ResNet(await init(1), SIZES);
      const target = new ResNet(await init(2), SIZES);
      const file = await fileOf(source, (name) => prefix + name, {
        [`${prefix}fc.weight`]: { shape: [5, 16], data: new Float32Array(80) },
        [`${prefix}bn1.num_batches_tracked`]: scalar,
        'decoder.weight': scalar,
      });
      const report = loadWeights(target, file);
      expect(report).toMatchObject({ missing: [], unexpected: [], prefix });
      expect([...report.ignored].sort()).toEqual(
        [`${prefix}bn1.num_batches_tracked`, `${prefix}fc.weight`, 'decoder.weight'].sort(),
      );
      await sameState(source, target);
      source.dispose();
      target.dispose();
    },
  );

  it('prefers the teacher to its student, unless it is told', async () => {
    const [teacher, student] = [new ResNet(await init(1), SIZES), new ResNet(await init(2), SIZES)];
    const target = new ResNet(await init(3), SIZES);
    const a = await fileOf(student, (name) => `student.backbone.${name}`);
    const b = await fileOf(teacher, (name) => `teacher.backbone.${name}`);
    const both = { name: 'both', tensors: new Map([...a.tensors, ...b.tensors]) };
    expect(loadWeights(target, both).prefix).toBe('teacher.backbone.');
    await sameState(teacher, target);
    loadWeights(target, both, { prefixes: ['student.backbone.'] });
    await sameState(student, target);
    for (const net of [teacher, student, target]) net.dispose();
  });

  it('refuses what does not fit, and then changes nothing', async () => {
    const source = new ResNet(await init(1), SIZES);
    const target = new ResNet(await init(2), SIZES);
    const before = await target.stateDict();
    const refuses = async (file: Checkpoint, text: RegExp, options?: LoadOptions) => {
      await expectError(() => loadWeights(target, file, options), 'checkpoint-mismatch', text);
      expect(await target.stateDict()).toEqual(before);
    };
    const without = await fileOf(source, (name) => (name.startsWith('bn1.') ? null : name));
    await refuses(
      without,
      /file\.pth.*missing: bn1\.weight, bn1\.bias, bn1\.running_mean, bn1\.running_var.*\n.*strict: false/,
    );
    await refuses(await fileOf(source, undefined, { extra: scalar }), /unexpected: extra/);
    const wide = new ResNet(await init(1), { ...SIZES, stem: 4 });
    await refuses(
      await fileOf(wide),
      /conv1\.weight: expected \[2, 3, 7, 7\] \(conv1\.weight\), found \[4, 3, 7, 7\].* and \d+ more/,
      { strict: false },
    );
    const other = await fileOf(source, (name) => `something.else.${name}`);
    await refuses(other, /none of its \d+ names.*\n.*prefixes/, { strict: false });
    const squeeze = new SqueezeNet(await init(1), { ...SQUEEZENET, stem: 1, classes: 1 });
    await refuses(await fileOf(squeeze), /weights of squeezenet-torchvision/);
    await refuses({ name: 'empty', tensors: new Map() }, /none of its 0 names/, { strict: false });
    const broken = await fileOf(source);
    const last = [...broken.tensors.keys()].at(-1)!;
    const tensors = new Map(broken.tensors).set(last, {
      ...broken.tensors.get(last)!,
      values: () => {
        throw new Error('damaged');
      },
    });
    expect(() => loadWeights(target, { name: 'broken', tensors })).toThrow('damaged');
    expect(await target.stateDict()).toEqual(before);
    for (const net of [source, target, wide, squeeze]) net.dispose();
  });

  it('loads what fits where that is asked for', async () => {
    const source = new ResNet(await init(1), SIZES);
    const target = new ResNet(await init(2), SIZES);
    const file = await fileOf(source, (name) => (name === 'bn1.running_mean' ? null : name), {
      extra: scalar,
    });
    const report = loadWeights(target, file, { strict: false });
    expect(report).toMatchObject({ missing: ['bn1.running_mean'], unexpected: ['extra'] });
    await sameState(source, target);
    source.dispose();
    target.dispose();
  });

  it('takes a 1x1 convolution for a linear layer', async () => {
    const sizes = { groups: 2, stem: 4, width: 12, depths: [1, 1, 1], classes: 3 } as const;
    const [source, target] = [
      new ShuffleNet(await init(1), sizes),
      new ShuffleNet(await init(2), sizes),
    ];
    const file = await fileOf(source);
    const fc = file.tensors.get('fc.weight')!;
    const tensors = new Map(file.tensors).set('fc.weight', { ...fc, shape: [3, 48, 1, 1] });
    loadWeights(target, { name: 'conv', tensors });
    await sameState(source, target);
    source.dispose();
    target.dispose();
  });
});

describe('the registry', () => {
  it('knows the networks that come with weights by their names', async () => {
    const nets = {
      shufflenet: new ShuffleNet(await init(1)),
      'squeezenet-torchvision': new SqueezeNet(await init(1), {
        ...SQUEEZENET,
        weights: 'torchvision',
      }),
      mobilenet: new MobileNet(await init(1)),
    };
    for (const [name, net] of Object.entries(nets)) {
      const shapes = new Map([...net.namedParameters(), ...net.namedBuffers()]);
      expect(inferExtractor(shapes)).toBe(name);
      net.dispose();
    }
    const own = EXTRACTORS.squeezenet.rename(
      new Map([
        ['conv1.weight', 1],
        ['fire2/conv1x1_1.bias', 2],
        ['fire9/conv3x3_2.weight', 3],
        ['conv_final.bias', 4],
        ['features.0.weight', 5],
      ]),
    );
    expect([...own]).toEqual([
      ['features.0.weight', 1],
      ['features.3.squeeze.bias', 2],
      ['features.12.expand3x3.weight', 3],
      ['classifier.1.bias', 4],
    ]);
  });

  it('makes a network whose preprocessing is the definition’s', async () => {
    for (const name of EXTRACTOR_NAMES.filter((name) => /net(-|$)/.test(name))) {
      const net = createExtractor(name, await init(1));
      expect(net.preprocessing).toEqual(EXTRACTORS[name].preprocessing);
      net.dispose();
    }
  });
});
