import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { serializeSafetensors } from '../../src/data/safetensors.ts';
import { cohortSource } from '../../src/training/cohort-source.ts';

const folder = await mkdtemp(join(tmpdir(), 'histograd-source-'));
afterAll(() => rm(folder, { recursive: true }));

it('gives bags whole unless a sample is asked for, whatever else is among the options of the run', async () => {
  const path = join(folder, 'a.safetensors');
  const features = Float32Array.from({ length: 20 }, (_, i) => i);
  await writeFile(path, serializeSafetensors({ features: { shape: [10, 2], data: features } }));
  const slide = { id: 'a', patient: 'A', path, rows: 10, width: 2 };
  const config = { maxPatches: 4, prefetch: 1, dataset: undefined };
  const source = cohortSource([slide], config);
  for (let i = 0; i < 2; i++) {
    for await (const bags of source.batches([[0]])) {
      expect(bags.features).toEqual(features);
      // Taken for scaling: the source keeps its own.
      bags.features.fill(0);
    }
  }
  for await (const { offsets } of source.batches([[0]], { maxPatches: 4, seed: 0, epoch: 0 }))
    expect([...offsets]).toEqual([0, 4]);
});
