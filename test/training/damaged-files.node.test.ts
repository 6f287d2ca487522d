import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSafetensors, serializeSafetensors } from '../../src/data/safetensors.ts';
import type { Device } from '../../src/gpu/device.ts';
import { openRunFolder } from '../../src/training/run-folder.ts';
import { readRun } from '../../src/training/run-results.ts';
import { type TrainResult, train } from '../../src/training/train.ts';
import { parseModel, serializeModel } from '../../src/training/trained-model.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { exampleCohort, exampleOptions, GENES, MemoryRecord, SMALL } from './example.ts';

const cohort = exampleCohort(6);
let device: Device;
let folder: string;
beforeAll(async () => {
  device = await testDevice();
  folder = await mkdtemp(join(tmpdir(), 'histograd-damaged-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file with other entries in its metadata. */
function withMetadata(bytes: Uint8Array, changes: Record<string, string>): Uint8Array {
  const { tensors, metadata } = parseSafetensors(bytes, 'x');
  return serializeSafetensors(tensors, { ...metadata, ...changes });
}

function trained(kind: 'knn' | 'direct-patch-level', record?: MemoryRecord): Promise<TrainResult> {
  return train({
    ...{ device, source: cohort.source, genes: GENES, targets: cohort.targets, record },
    ...{ kind, modelOptions: SMALL[kind], options: exampleOptions({ epochs: 1 }) },
    split: { name: 'a', train: [0, 1, 2, 3, 4], validation: [], test: [5] },
  });
}

describe('a model file', () => {
  it.each([
    ['options', '{bad', /options: not JSON/],
    ['options', '{"k": [1]}', /options/],
    ['genes', '{}', /genes/],
    ['width', 'x', /width .* x/],
    ['width', '-2', /width .* -2/],
    ['provenance', '{}', /provenance/],
    ['provenance', '{"transform":"ln","slides":[],"patients":[]}', /provenance/],
  ])('whose %s are %s', async (key, text, message) => {
    const bytes = await serializeModel(await trained('knn'));
    expect(parseModel(device, bytes, 'm').genes).toEqual(GENES);
    const act = () => parseModel(device, withMetadata(bytes, { [key]: text }), 'm.safetensors');
    await expectError(act, 'bad-model', message);
  });
});

it('a checkpoint: says that deleting it helps', async () => {
  const record = new MemoryRecord();
  await trained('direct-patch-level', record);
  const good = record.checkpoint!;
  for (const [bytes, code] of [
    [good.slice(0, -100), 'bad-safetensors'],
    [withMetadata(good, { progress: '{"points": 3}' }), 'bad-checkpoint'],
    [withMetadata(good, { progress: '{' }), 'bad-checkpoint'],
    [withMetadata(good, { task: '[]' }), 'bad-checkpoint'],
  ] as const) {
    record.checkpoint = bytes;
    await expectError(() => trained('direct-patch-level', record), code, /Delete that file/);
  }
  record.checkpoint = null;
  await trained('direct-patch-level', record);
});

describe('a run folder', () => {
  const data = { genes: 'g', expression: 'e', splits: 's', slides: { A: '1' } };

  it.each([
    ['config.json', '{"a": 1', /config\.json: not JSON/],
    ['data.json', '{"genes": "g"}', /data\.json: at expression/],
    ['environment.json', '{"histograd": ', /environment\.json: not JSON/],
  ])('whose %s is damaged is not gone on with', async (file, content, message) => {
    const path = join(folder, file);
    const run = await openRunFolder(path, { a: 1 }, false, { data });
    await run.write('environment', '{}');
    await run.write('summary', '{}');
    await openRunFolder(path, { a: 1 }, true, { data });
    await writeFile(join(path, file), content);
    await expectError(() => openRunFolder(path, { a: 1 }, true, { data }), 'bad-run', message);
  });

  it('whose summary is damaged is not read', async () => {
    const run = await openRunFolder(join(folder, 'summary'), {}, false);
    await run.write('environment', '{}');
    for (const content of ['{}', '{"title": ', '{"title":"t","command":"c","models":[{}]}']) {
      await run.write('summary', content);
      await expectError(() => readRun(run.path), 'bad-run', /summary\.json/);
    }
  });

  it('whose results are damaged: says that deleting them helps', async () => {
    const run = await openRunFolder(join(folder, 'group'), {}, false);
    const group = await run.group('knn', 'fold-0', 'all');
    const result = { points: [], parameters: 1, seconds: 1, peakBytes: 1 };
    await group.saveResult({ ...result, predicted: Float32Array.of(1) }, ['S'], ['G']);
    expect(await group.loadResult(['S'], ['G'])).toMatchObject(result);
    const file = join(run.path, 'knn/fold-0/all/predictions.safetensors');
    const bytes = await readFile(file);
    for (const [content, code] of [
      [bytes.subarray(0, -1), 'bad-safetensors'],
      [withMetadata(bytes, { training: '{}' }), 'bad-checkpoint'],
    ] as const) {
      await writeFile(file, content);
      await expectError(() => group.loadResult(['S'], ['G']), code, /Delete that file/);
    }
  });

  it('that is of another program is left alone, though it holds a config.json', async () => {
    const path = join(folder, 'config.json-of-others');
    await openRunFolder(path, { epochs: 1 }, false);
    const file = join(path, 'config.json');
    const comesTo = (saved: Readonly<Record<string, unknown>>) => {
      if (!('epochs' in saved)) throw new Error('no such config');
    };
    for (const content of ['{"model_type": "vit"}', 'model_type: vit', '[]', '{"epochs":1}']) {
      await writeFile(file, content);
      for (const resume of [false, true]) {
        const open = () => openRunFolder(path, { epochs: 2 }, resume, { comesTo });
        await expectError(open, 'out-not-empty', /holds no run: config\.json/);
      }
      if (content === '{"epochs":1}') continue;
      const open = () => openRunFolder(path, { epochs: 2 }, false);
      await expectError(open, 'out-not-empty', /holds no run: config\.json/);
    }
    expect(await readFile(file, 'utf8')).toBe('{"epochs":1}');
  });
});
