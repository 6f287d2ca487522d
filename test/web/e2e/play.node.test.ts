/** The whole way on the simulated cohort, as a user goes it. */
import { writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { decode } from 'fast-png';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pearson } from '../../../src/metrics/pearson.ts';
import { formatFixed, formatSignificant } from '../../../src/report/format.ts';
import { predictSlides } from '../../../src/training/predict.ts';
import { parseModel } from '../../../src/training/trained-model.ts';
import { openSimulated as simulatedInNode } from '../../../src/web/data/simulated.ts';
import { testDevice } from '../../device.ts';
import { describeInChromium, launch, PATIENT, picture, type Visit, visit } from './browser.ts';
import { predictionsOf, readCsv } from './csv.ts';
import { watchMainThread } from './main-thread.ts';
import { openSite, type Site } from './site.ts';
import {
  openSimulated,
  passStep,
  save,
  seeResults,
  setAdvanced,
  startTraining,
  stepShown,
} from './steps.ts';

/** Issue 6: the first load, compressed; a task of the main thread while training. */
const FIRST_LOAD_BYTES = 400e3;
const LONGEST_TASK = 100;
const PREDICTION_TOLERANCE = 1e-5;

describeInChromium('a training on the simulated cohort, played through', PATIENT, () => {
  let site: Site;
  let browser: Browser;
  let visited: Visit;
  let page: Page;

  beforeAll(async () => {
    site = await openSite();
    browser = await launch();
    site.takeLoads();
    visited = await visit(browser, site);
    page = visited.page;
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
  });

  it('starts small, and tells what computes', async () => {
    const card = page.getByRole('region', { name: 'What computes' });
    await expect.poll(() => card.textContent(), { timeout: 60_000 }).toMatch(/GFLOP\/s measured/);
    expect(await card.textContent()).toContain('software');
    await page.waitForLoadState('networkidle');
    const loads = site.takeLoads();
    const bytes = [...loads.values()].reduce((sum, size) => sum + size, 0);
    console.log(`First load: ${(bytes / 1000).toFixed(0)} kB compressed, ${loads.size} files`);
    // The engine is among it.
    expect([...loads.keys()].some((name) => name.includes('engine-worker'))).toBe(true);
    expect(bytes).toBeLessThan(FIRST_LOAD_BYTES);
    await picture(page, 'start');
  });

  it('trains: the curves move, and the page stays responsive', async () => {
    await openSimulated(page);
    expect(await page.getByText('simulated data').count()).toBeGreaterThan(0);
    await setAdvanced(page, { Epochs: 60 });
    const loss = page.getByRole('img', { name: /^Loss over epochs/ });
    let firstStep = 0;
    const main = await watchMainThread(browser, page, async () => {
      firstStep = await startTraining(page);
      await page.getByRole('img', { name: /Loss over epochs. After epoch [2-9]/ }).waitFor();
      const before = { name: await loss.getAttribute('aria-label'), drawn: await drawn(loss) };
      await expect.poll(() => loss.getAttribute('aria-label')).not.toBe(before.name);
      await expect.poll(() => drawn(loss)).not.toEqual(before.drawn);
    });
    console.log(
      `First step ${(firstStep / 1000).toFixed(2)} s after the click; longest task of the main thread while training: ` +
        `${main.longest.toFixed(0)} ms of its processor time, ${main.longestByClock.toFixed(0)} ms by the clock`,
    );
    expect(main.tasks).toBeGreaterThan(20);
    expect(main.longest).toBeLessThan(LONGEST_TASK);
  });

  it('pauses and goes on', async () => {
    await page.getByRole('button', { name: 'Pause' }).click();
    const resume = page.getByRole('button', { name: 'Resume' });
    await resume.waitFor();
    const paused = await stepShown(page);
    await page.waitForTimeout(500);
    expect(await stepShown(page)).toBe(paused);
    await resume.click();
    await passStep(page, paused);
  });

  it('goes on from its checkpoint after a reload', async () => {
    const run = await page.getByRole('heading', { level: 2, name: /Direct-ABMIL/ }).textContent();
    const before = await stepShown(page);
    await page.reload();
    const offer = page.getByRole('region', { name: 'Unfinished run' });
    expect(await offer.textContent()).toContain(run);
    await offer.getByRole('button', { name: 'Resume this run' }).click();
    await page.getByText(/^step [\d,]+ of/).waitFor();
    // Where it was paused, or later; not at the beginning.
    const after = await stepShown(page);
    expect(after).toBeGreaterThan(0);
    expect(after).toBeLessThanOrEqual(before);
    const curve = page.getByRole('img', { name: /Loss over epochs. After epoch/ });
    expect(await curve.count()).toBe(1);
    await page.getByRole('button', { name: /Pause|See the results/ }).waitFor();
    await passStep(page, after);
  });

  it('shows the map and the genes, the best first', async () => {
    await page.getByRole('button', { name: 'See the results' }).waitFor({ timeout: 120_000 });
    await picture(page, 'train');
    await seeResults(page);
    const map = page.getByRole('application', { name: /Predicted SIM_/ });
    await map.waitFor();
    await expect
      .poll(async () => colours(await map.screenshot()), { timeout: 30_000 })
      .toBeGreaterThan(200);
    const scores = await columnOf(page, 1);
    expect(scores.length).toBeGreaterThan(10);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(scores[0]).toBeGreaterThan(0.5);
    await page.getByRole('button', { name: 'MSE' }).click();
    const errors = await columnOf(page, 3);
    expect(errors).toEqual(errors.toSorted((a, b) => a - b));
    await page.getByRole('button', { name: 'r', exact: true }).click();
  });

  it.each(['Measured', 'Side by side', 'Blend', 'Difference', 'Attention'])(
    'shows the view: %s',
    async (mode) => {
      await page.getByRole('radio', { name: mode }).check();
      const map = page.getByRole('application', { name: /, SIM-P\d+-S\d$/ });
      await expect.poll(async () => colours(await map.screenshot())).toBeGreaterThan(200);
      expect(await page.getByRole('img', { name: /^Colour legend/ }).count()).toBe(
        mode === 'Side by side' ? 2 : 1,
      );
      if (mode === 'Side by side') await picture(page, 'see', 'dark');
    },
  );

  it('saves the map as a picture of the right size', async () => {
    await page.getByRole('radio', { name: 'Predicted' }).check();
    const map = page.getByRole('application', { name: /Predicted SIM_/ });
    const box = await map.boundingBox();
    const { name, content } = await save(page, 'Map (PNG)');
    expect(name).toMatch(/\.png$/);
    const { width, height } = decode(content);
    // Twice as sharp as the screen, with a margin, a title and a legend.
    expect(width).toBeGreaterThan(2 * box!.width);
    expect(width).toBeLessThan(2 * (box!.width + 64));
    expect(height).toBeGreaterThan(2 * box!.height);
    expect(height).toBeLessThan(2 * (box!.height + 160));
    expect(colours(content)).toBeGreaterThan(200);
  });

  it('saves the values that it shows', async () => {
    const gene = await page.getByRole('heading', { level: 2, name: /^SIM_/ }).first().textContent();
    const { header, rows } = readCsv((await save(page, 'Map (CSV)')).content);
    expect(header).toEqual(['place', 'x', 'y', 'predicted', 'observed']);
    await page.getByRole('application', { name: /Predicted SIM_/ }).focus();
    await page.keyboard.press('Shift+ArrowRight');
    await page.keyboard.press('Shift+ArrowDown');
    const readout = page.getByText(/^tile .*predicted/);
    const text = (await readout.textContent()) ?? '';
    const row = rows.find(([place = '']) => text.includes(place));
    expect(row).toBeDefined();
    expect(text).toContain(`predicted ${formatSignificant(Number(row?.[3]))}`);

    const { content } = await save(page, 'Predictions (CSV)');
    const predicted = predictionsOf(content, 'Direct-ABMIL');
    const observed = predictionsOf(content, 'observed');
    const column = readCsv(content).header.indexOf(gene!.replace('simulated data', '')) - 3;
    const of = (values: Map<string, number[]>) => [...values.values()].map((row) => row[column]!);
    const r = formatFixed(pearson(of(observed), of(predicted)), 2);
    const selected = page.getByRole('row', { selected: true });
    expect(await selected.textContent()).toContain(r);
  });

  it('saves a model that predicts the same in Node', async () => {
    const { content } = await save(page, 'Predictions (CSV)');
    const there = predictionsOf(content, 'Direct-ABMIL');
    const model = await save(page, 'Model (safetensors)');
    const device = await testDevice();
    const trained = parseModel(device, model.content, model.name);
    const { source } = await simulatedInNode();
    const samples = [...there.keys()].map((id) => source.slides.findIndex((s) => s.id === id));
    expect(samples.length).toBeGreaterThan(5);
    let worst = 0;
    for await (const { slide, expression } of predictSlides(
      device,
      trained,
      source,
      samples,
      4096,
    )) {
      const cells = there.get(source.slides[slide]!.id)!;
      expect(cells).toHaveLength(expression.length);
      for (const [g, value] of expression.entries())
        worst = Math.max(worst, Math.abs(value - cells[g]!));
    }
    trained.model.dispose();
    console.log(`Chromium's predictions in Node: largest difference ${worst.toExponential(1)}`);
    expect(worst).toBeLessThan(PREDICTION_TOLERANCE);
  });

  it('saves a report that needs nothing else', async () => {
    const { path, content } = await save(page, 'Report (HTML)');
    const html = `${path}.html`;
    await writeFile(html, content);
    const context = await browser.newContext();
    const asked: string[] = [];
    context.on('request', (request) => asked.push(request.url()));
    const report = await context.newPage();
    await report.goto(pathToFileURL(html).href);
    expect(await report.getByText(/simulated/i).count()).toBeGreaterThan(0);
    expect(await report.locator('svg').count()).toBeGreaterThan(1);
    expect(asked.filter((url) => !/^(file|data|blob):/.test(url))).toEqual([]);
    expect(asked.filter((url) => url.startsWith('file:'))).toHaveLength(1);
    await context.close();
  });

  it('asks for nothing elsewhere, under its policy, without an error', async () => {
    const policy = page.locator('meta[http-equiv="Content-Security-Policy"]');
    expect(await policy.getAttribute('content')).toContain("default-src 'none'");
    visited.expectClean();
  });

  it('lets neither the page nor the worker send anything anywhere', async () => {
    const [worker] = page.workers();
    const address = site.url.replace('127.0.0.1', 'localhost');
    const send = (url: string) =>
      fetch(url, { mode: 'no-cors' }).then(
        () => 'sent',
        () => 'refused',
      );
    expect(await page.evaluate(send, site.url)).toBe('sent');
    expect(await page.evaluate(send, address)).toBe('refused');
    expect(await worker!.evaluate(send, site.url)).toBe('sent');
    expect(await worker!.evaluate(send, address)).toBe('refused');
  });
});

/** Different colours: of ground alone there are few. */
function colours(png: Uint8Array): number {
  const { data, channels } = decode(png);
  const found = new Set<number>();
  for (let i = 0; i < data.length; i += channels)
    found.add((data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!);
  return found.size;
}

function drawn(chart: { screenshot(): Promise<Buffer> }): Promise<string> {
  return chart.screenshot().then((png) => png.toString('base64'));
}

/** The numbers of a column of the gene table, as far as it is rendered. */
async function columnOf(page: Page, column: number): Promise<number[]> {
  const rows = await page.getByRole('grid', { name: /Genes/ }).getByRole('row').all();
  const texts = await Promise.all(
    rows.map((row) =>
      row
        .getByRole('gridcell')
        .nth(column)
        .textContent({ timeout: 500 })
        .catch(() => null),
    ),
  );
  return texts.flatMap((text) => (text === null ? [] : [Number(text.replace('−', '-'))]));
}
