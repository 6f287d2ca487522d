/** A model that Node trained, opened in the page: the other way round is part of the play. */
import type { Browser } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pearson } from '../../../src/metrics/pearson.ts';
import { formatFixed } from '../../../src/report/format.ts';
import { provenance } from '../../../src/training/cross-validate.ts';
import { predictSlides } from '../../../src/training/predict.ts';
import { train } from '../../../src/training/train.ts';
import { serializeModel } from '../../../src/training/trained-model.ts';
import { openSimulated as simulatedInNode } from '../../../src/web/data/simulated.ts';
import { defaultSettings, trainOptions } from '../../../src/web/worker/settings.ts';
import { testDevice } from '../../device.ts';
import { describeInChromium, launch, PATIENT, type Visit, visit } from './browser.ts';
import { predictionsOf, readCsv } from './csv.ts';
import { openSite } from './site.ts';
import { fileOf, openSimulated, save } from './steps.ts';

/** The slides before this one train; the cohort has 72, two of each patient. */
const FIRST_TEST_SLIDE = 48;
const EPOCHS = 3;
const PREDICTION_TOLERANCE = 1e-5;

/** A short training in Node, its file, and what it predicts there. */
async function trainInNode() {
  const device = await testDevice();
  const { source, summary, targets, ...rest } = await simulatedInNode();
  const samples = source.slides.map((_, i) => i);
  const split = {
    name: 'fold 1',
    train: samples.slice(0, FIRST_TEST_SLIDE),
    validation: [],
    test: samples.slice(FIRST_TEST_SLIDE),
  };
  const dataset = { source, summary, targets, ...rest };
  const settings = { ...defaultSettings('direct-abmil', dataset), epochs: EPOCHS };
  const result = await train({
    ...{ device, source, genes: summary.genes, targets: targets!, split },
    kind: settings.model,
    modelOptions: settings.modelOptions,
    options: trainOptions(settings, dataset, summary.genes.length),
  });
  const trained = { ...result, provenance: provenance({ source, transform: 'none' }, split) };
  const predicted = new Map<string, number[]>();
  for await (const { slide, expression } of predictSlides(
    device,
    trained,
    source,
    split.test,
    4096,
  ))
    predicted.set(source.slides[slide]!.id, [...expression]);
  const content = await serializeModel(trained);
  trained.model.dispose();
  return { content, predicted, genes: summary.genes };
}

describeInChromium('a model of the command line in the page', PATIENT, () => {
  let browser: Browser;
  let visited: Visit;

  beforeAll(async () => {
    const site = await openSite();
    browser = await launch();
    visited = await visit(browser, site);
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
  });

  it('predicts what it predicted in Node, for patients it has not seen', async () => {
    const made = await trainInNode();
    const { page } = visited;
    await openSimulated(page);
    await page
      .getByLabel('Open a trained model')
      .setInputFiles(fileOf('best.safetensors', made.content));
    await page.getByRole('grid', { name: /Genes/ }).waitFor();
    const { content } = await save(page, 'Predictions (CSV)');
    const here = predictionsOf(content, 'Direct-ABMIL');
    expect([...here.keys()].sort()).toEqual([...made.predicted.keys()].sort());
    let worst = 0;
    for (const [slide, expected] of made.predicted) {
      for (const [g, value] of expected.entries())
        worst = Math.max(worst, Math.abs(here.get(slide)![g]! - value));
    }
    console.log(`Node's predictions in Chromium: largest difference ${worst.toExponential(1)}`);
    expect(worst).toBeLessThan(PREDICTION_TOLERANCE);

    const gene = readCsv(content).header[3]!;
    const observed = predictionsOf(content, 'observed');
    await page.getByRole('searchbox').fill(gene);
    const row = page.getByRole('row', { name: gene });
    const shown = await row.getByRole('gridcell').nth(1).textContent();
    const first = (values: Map<string, number[]>) => [...values.values()].map((row) => row[0]!);
    expect(shown).toBe(formatFixed(pearson(first(observed), first(here)), 2));
    visited.expectClean();
  });
});
