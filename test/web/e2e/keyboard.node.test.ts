/** Without a mouse, and by the names that a screen reader says. */
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeInChromium, launch, PATIENT, type Visit, visit } from './browser.ts';
import { openSite } from './site.ts';

const MOST_TABS = 80;

describeInChromium('by keyboard', PATIENT, () => {
  let browser: Browser;
  let visited: Visit;
  let page: Page;

  beforeAll(async () => {
    const site = await openSite();
    browser = await launch();
    visited = await visit(browser, site);
    page = visited.page;
    await page.getByText('GFLOP/s').waitFor();
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
  });

  it('skips the header', async () => {
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Skip to the content');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Use the simulated cohort', 3);
  });

  it('starts, trains and sees', async () => {
    await expectOutline(page);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Start training' }).waitFor();
    await expectOrderAndNames(page);
    // The heading of the new screen has the focus.
    await expect.poll(() => focused(page)).toBe('Train');
    await tabTo(page, 'Direct-ABMIL');
    // The quickest of the models that train.
    await page.keyboard.press('ArrowDown');
    expect(await page.getByRole('radio', { name: 'Direct-Patch-Level' }).isChecked()).toBe(true);
    await tabTo(page, 'Advanced settings');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Epochs');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('3');
    await tabTo(page, 'Start training');
    await expectOutline(page);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'See the results' }).waitFor({ timeout: 120_000 });
    await expectOrderAndNames(page);
    // The way on has it when the training ends.
    await expect.poll(() => focused(page)).toBe('See the results');
    await page.keyboard.press('Enter');
    await page.getByRole('application', { name: /Predicted SIM_/ }).waitFor();
    await expectOrderAndNames(page);
  });

  it('chooses a gene, reads a tile, zooms, and changes the view', async () => {
    const selected = page.getByRole('row', { selected: true });
    await tabTo(page, 'Genes; arrow keys change the gene that is shown');
    const before = await selected.textContent();
    await page.keyboard.press('ArrowDown');
    expect(await selected.textContent()).not.toBe(before);
    await tabTo(page, 'Predicted');
    await page.keyboard.press('ArrowRight');
    expect(await page.getByRole('radio', { name: 'Measured' }).isChecked()).toBe(true);
    await tabTo(page, /^Measured SIM_/);
    await expectOutline(page);
    await page.keyboard.press('Shift+ArrowRight');
    await page.getByText(/^tile .*predicted .*measured/).waitFor();
    await page.keyboard.press('+');
    await page.keyboard.press('Escape');
    await tabTo(page, 'Map (PNG)');
    const saved = page.waitForEvent('download');
    await page.keyboard.press('Enter');
    expect((await saved).suggestedFilename()).toMatch(/\.png$/);
    visited.expectClean();
  });
});

/** The accessible name, near enough, of what has the focus. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!(element instanceof HTMLElement)) return '';
    const label =
      element instanceof HTMLInputElement ? element.labels?.[0]?.textContent : undefined;
    return (element.ariaLabel ?? label ?? element.textContent).trim();
  });
}

async function tabTo(page: Page, name: string | RegExp, most = MOST_TABS): Promise<void> {
  const passed: string[] = [];
  const is = (text: string) => (typeof name === 'string' ? text === name : name.test(text));
  while (!is(await focused(page))) {
    if (passed.length === most) throw new Error(`No ${name} among ${passed.join(' | ')}.`);
    await page.keyboard.press('Tab');
    passed.push(await focused(page));
  }
}

/** Whoever goes by keyboard sees where. */
async function expectOutline(page: Page): Promise<void> {
  const outline = await page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement!);
    return { outlineStyle, width: Number.parseFloat(outlineWidth) };
  });
  expect(outline.outlineStyle).not.toBe('none');
  expect(outline.width).toBeGreaterThanOrEqual(2);
}

/** One h1, no level left out; a name for all that can be used, a text for all that is drawn. */
async function expectOrderAndNames(page: Page): Promise<void> {
  const headings = await page.getByRole('heading').all();
  const levels = await Promise.all(
    headings.map((heading) => heading.evaluate(({ tagName }) => Number(tagName.slice(1)))),
  );
  expect(levels.filter((level) => level === 1)).toHaveLength(1);
  expect(levels[0]).toBe(1);
  for (const [i, level] of levels.entries())
    expect(level - (levels[i - 1] ?? 0), `heading ${i}`).toBeLessThanOrEqual(1);
  for (const role of [
    'button',
    'link',
    'textbox',
    'searchbox',
    'spinbutton',
    'combobox',
    'radio',
    'checkbox',
    'slider',
    'img',
    'grid',
    'table',
    'progressbar',
    'application',
  ] as const) {
    const all = await page.getByRole(role).count();
    const named = await page.getByRole(role, { name: /\S/ }).count();
    expect(named, `${role} with a name`).toBe(all);
  }
  expect(await page.getByRole('main').count()).toBe(1);
  expect(await page.locator('html').getAttribute('lang')).toBe('en');
}
