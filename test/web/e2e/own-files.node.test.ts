/** Real sections: mouse olfactory bulb of the folder with data beside the project, where there is one. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeInChromium, launch, PATIENT, picture, type Visit, visit } from './browser.ts';
import { readCsv } from './csv.ts';
import { openSite } from './site.ts';
import { save, seeResults, setAdvanced, startTraining } from './steps.ts';

const BULB =
  process.env.HISTOGRAD_MOB ??
  fileURLToPath(new URL('../../../../shared/data/mob-mini', import.meta.url));
const SPOTS = 1224;
/** For the pictures of docs/images a model that has learned something. */
const [GENES, EPOCHS] = process.env.UPDATE_SCREENSHOTS ? [250, 40] : [50, 8];

const describeWithBulb = existsSync(BULB) ? describeInChromium : describe.skip;

describeWithBulb('mouse olfactory bulb from a folder', PATIENT, () => {
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

  it('says what the files are, trains on the spots, and shows a map over the section', async () => {
    const { page } = visited;
    await page.getByLabel('Choose a folder').setInputFiles(BULB);
    await page.getByText(/spots and counts: ready to train on\./).waitFor();
    expect(await page.getByRole('row', { name: /section image.*MOB1\.jpg/ }).count()).toBe(1);
    await picture(page, 'own-files');
    await page.getByLabel('How many genes').fill(String(GENES));
    await page.getByRole('button', { name: 'Open these files' }).click();
    await page.getByRole('button', { name: 'Start training' }).waitFor({ timeout: 120_000 });
    const data = page.getByRole('region', { name: /mob-mini|MOB/ });
    expect(await data.textContent()).toContain('1,224');
    await setAdvanced(page, { Epochs: EPOCHS });
    await startTraining(page);
    await seeResults(page);
    const map = page.getByRole('application', { name: /^Predicted .*, MOB/ });
    await map.waitFor();
    await page.getByText('Computing…').waitFor({ state: 'detached' });
    expect(await page.getByText('simulated').count()).toBe(0);
    const { rows } = readCsv((await save(page, 'Map (CSV)')).content);
    expect(rows.length).toBeGreaterThan(300);
    expect(rows.length).toBeLessThan(SPOTS);
    const predicted = rows.map((row) => Number(row[3]));
    expect(new Set(predicted).size).toBeGreaterThan(rows.length / 2);
    await picture(page, 'section');
    visited.expectClean();
  });
});
