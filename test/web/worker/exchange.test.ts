/**
 * Models cross between Node and the browser. The fixtures were each made on one side: `node-*` by this test with
 * UPDATE_FIXTURES=1, `browser-*` by the page's exports (`exchange.browser.test.ts`, with VITE_UPDATE_FIXTURES=1).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import Papa from 'papaparse';
import { describe, expect, it } from 'vitest';
import { provenance } from '../../../src/training/cross-validate.ts';
import { predictPatches, predictSlides } from '../../../src/training/predict.ts';
import { train } from '../../../src/training/train.ts';
import {
  parseModel,
  serializeModel,
  type TrainedModel,
} from '../../../src/training/trained-model.ts';
import { trainOptions } from '../../../src/web/worker/settings.ts';
import { testDevice } from '../../device.ts';
import { tinySettings } from './settings.ts';
import { GENES, tinyDataset } from './tiny-data.ts';

const fixture = (name: string) => new URL(`fixtures/${name}`, import.meta.url);
const device = await testDevice();
const dataset = tinyDataset('slides');

async function predictions(trained: TrainedModel): Promise<Map<string, number[]>> {
  const { source } = dataset;
  const found = new Map<string, number[]>();
  const all = source.slides.map((_, i) => i);
  for await (const { slide, expression } of predictSlides(device, trained, source, all, 64))
    found.set(source.slides[slide]!.id, [...expression]);
  return found;
}

/** Trains on the first eight slides, and writes the model and what it predicts. */
async function makeFixtures(): Promise<void> {
  const { source, targets } = dataset;
  const settings = tinySettings();
  const split = { name: 'fixture', train: [0, 1, 2, 3, 4, 5, 6, 7], validation: [], test: [] };
  const result = await train({
    ...{ device, source, genes: GENES, targets: targets!, split },
    kind: settings.model,
    modelOptions: settings.modelOptions,
    options: trainOptions(settings, dataset, GENES.length),
  });
  const trained = { ...result, provenance: provenance({ source, transform: 'log2' }, split) };
  writeFileSync(fixture('node-model.safetensors'), await serializeModel(trained));
  const places = await predictPatches(device, trained, await dataset.placeFeatures(9), [1]);
  const expected = { slides: Object.fromEntries(await predictions(trained)), places: [...places] };
  writeFileSync(fixture('node-predictions.json'), `${JSON.stringify(expected, undefined, 2)}\n`);
}

if (process.env.UPDATE_FIXTURES) await makeFixtures();

describe('a model that the page exported', () => {
  it('predicts in Node what it predicted there', async () => {
    const trained = parseModel(device, readFileSync(fixture('browser-model.safetensors')), 'model');
    expect(trained).toMatchObject({ kind: 'direct-abmil', genes: GENES });
    expect(trained.provenance).toMatchObject({ transform: 'log2' });
    const text = readFileSync(fixture('browser-predictions.csv'), 'utf8');
    const { data } = Papa.parse<string[]>(text, { skipEmptyLines: true });
    const rows = data.filter(([model]) => model === 'Direct-ABMIL');
    const seen = new Set(trained.provenance?.slides);
    expect(rows.map(([, , slide]) => slide)).toEqual(
      dataset.source.slides.map(({ id }) => id).filter((id) => !seen.has(id)),
    );
    const here = await predictions(trained);
    for (const [, , slide = '', ...cells] of rows) {
      for (const [g, cell] of cells.entries())
        expect(Math.abs(here.get(slide)![g]! - Number(cell))).toBeLessThan(1e-5);
    }
  });
});
