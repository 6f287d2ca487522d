/** What goes wrong, told on the screen, with a way on. */
import type { Browser, Page } from 'playwright';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { features } from '../data/files.ts';
import { describeInChromium, launch, PATIENT, type Visit, visit } from './browser.ts';
import { openSite, type Site } from './site.ts';
import {
  type FileToGive,
  fileOf,
  giveFiles,
  openSimulated,
  passStep,
  setAdvanced,
  startTraining,
  stepShown,
} from './steps.ts';

/** A run that does not end before its trouble. */
const LONG = { Epochs: 2000, 'Patience (epochs)': 0 };

describeInChromium('trouble', PATIENT, () => {
  let site: Site;
  let browser: Browser;
  let visited: Visit | undefined;
  const open = async (): Promise<Page> => {
    visited = await visit(browser, site);
    return visited.page;
  };

  beforeAll(async () => {
    site = await openSite();
    browser = await launch();
  }, 300_000);
  afterEach(async () => {
    await visited?.close();
    visited = undefined;
  });
  afterAll(async () => {
    await browser?.close();
  });

  it('no WebGPU: says which browsers have it, and the way without', async () => {
    const other = await launch({ webgpu: false });
    const { page, expectClean } = await visit(other, site);
    await page.getByText('This browser cannot compute here yet.').waitFor();
    expect(await page.getByText('Safari 26 and newer').count()).toBe(1);
    expect(await page.getByText('npx histograd demo').isVisible()).toBe(true);
    const use = page.getByRole('button', { name: 'Use the simulated cohort' });
    expect(await use.isDisabled()).toBe(true);
    expectClean();
    await other.close();
  });

  it('the device is lost in mid-training: goes on from the checkpoint', async () => {
    // A browser of its own: it counts the losses.
    const other = await launch();
    const { page } = await visit(other, site);
    await openSimulated(page);
    await setAdvanced(page, LONG);
    await startTraining(page);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Resume' }).waitFor();
    const stored = await stepShown(page);
    await page.getByRole('button', { name: 'Resume' }).click();
    await passStep(page, stored);
    const devtools = await other.newBrowserCDPSession();
    // The GPU's process ends, as with a driver that crashed; no answer comes.
    void devtools.send('Browser.crashGpuProcess').catch(() => {});
    await page.getByText('recovering', { exact: true }).waitFor();
    await page.getByText('training', { exact: true }).waitFor();
    const back = await stepShown(page);
    expect(back).toBeGreaterThanOrEqual(stored);
    await passStep(page, back);
    expect(await page.getByText('The GPU went away and came back.').first().isVisible()).toBe(true);
    await page.getByRole('button', { name: 'Stop and keep the model' }).click();
    await page.getByRole('button', { name: 'See the results' }).click();
    await page.getByRole('application', { name: /Predicted SIM_/ }).waitFor();
    await other.close();
  });

  it('out of memory: suggests smaller settings', async () => {
    const page = await open();
    await openSimulated(page);
    await takeMemoryAway(page);
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.getByText(/the GPU is out of memory/).waitFor();
    const remedy = page.getByRole('button', { name: /^Take smaller settings: / });
    expect(await remedy.textContent()).toContain('128 instead of 256 patches');
    await remedy.click();
    await page.getByRole('button', { name: 'Start training' }).waitFor();
    const patches = page.getByLabel('Patches per slide and step');
    expect(await patches.inputValue()).toBe('128');
  });

  it('a file that is not what its name says', async () => {
    const page = await open();
    await drop(page, [fileOf('slide-1.h5', 'This is a shopping list.\n')]);
    const alert = page.getByRole('region', { name: 'Your own files' }).getByRole('alert');
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(/features|expression|read/i);
    const row = page.getByRole('row', { name: /slide-1\.h5/ });
    expect(await row.textContent()).toMatch(/not used.*text/s);
    const use = page.getByRole('button', { name: 'Open these files' });
    expect(await use.isDisabled()).toBe(true);
    visited?.expectClean();
  });

  it('a table whose samples are not those of the features', async () => {
    const page = await open();
    await giveFiles(page, [
      fileOf('slide-1.safetensors', features(6, 4)),
      fileOf('slide-2.safetensors', features(6, 4, 3)),
      fileOf('expression.csv', 'gene,patient-7,patient-8\nERBB2,1.5,2\nESR1,0.5,4\n'),
    ]);
    const alert = page.getByRole('region', { name: 'Your own files' }).getByRole('alert');
    await alert.waitFor();
    const text = await alert.textContent();
    expect(text).toContain('slide-1');
    expect(text).toContain('patient-7');
    const use = page.getByRole('button', { name: 'Open these files' });
    expect(await use.isDisabled()).toBe(true);
    visited?.expectClean();
  });

  it('the tab is hidden for a while: the run goes on, and says so', async () => {
    const page = await open();
    await openSimulated(page);
    await setAdvanced(page, LONG);
    await startTraining(page);
    await setHidden(page, true);
    const before = await stepShown(page); // may be a frame old
    await passStep(page, before + 6);
    await setHidden(page, false);
    const notice = page.getByRole('region', { name: 'Notice' });
    await notice.waitFor();
    const steps = Number(/\((\d+) steps\)/.exec((await notice.textContent()) ?? '')?.[1]);
    expect(steps).toBeGreaterThanOrEqual(5);
    await notice.getByRole('button', { name: 'Close' }).click();
    expect(await notice.count()).toBe(0);
    visited?.expectClean();
  });
});

/** From now on the GPU has no memory for anything above 16 KiB. */
async function takeMemoryAway(page: Page): Promise<void> {
  const [worker] = page.workers();
  await worker!.evaluate(() => {
    const { createBuffer, popErrorScope } = GPUDevice.prototype;
    let refused = false;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      refused = descriptor.size > 16384 && (descriptor.usage & GPUBufferUsage.STORAGE) !== 0;
      return createBuffer.call(this, descriptor);
    };
    GPUDevice.prototype.popErrorScope = async function () {
      const error = refused ? new GPUOutOfMemoryError('no memory') : null;
      refused = false;
      return (await popErrorScope.call(this)) ?? error;
    };
  });
}

/** As from the desktop, onto the card. */
async function drop(page: Page, files: readonly FileToGive[]): Promise<void> {
  const data = await page.evaluateHandle(
    (given) => {
      const transfer = new DataTransfer();
      for (const { name, text } of given) transfer.items.add(new File([text], name));
      return transfer;
    },
    files.map(({ name, buffer }) => ({ name, text: buffer.toString() })),
  );
  await page
    .getByRole('region', { name: 'Your own files' })
    .dispatchEvent('drop', { dataTransfer: data });
}

/** Without a window there is no other tab to go to: the page is told as the browser would tell it. */
async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
    Object.defineProperty(document, 'visibilityState', {
      configurable: true,
      get: () => (value ? 'hidden' : 'visible'),
    });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}
