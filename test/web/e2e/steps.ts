/** What a user does, by the words on the screen. */
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright';

/** The steps that are done, by the figure on the screen. */
export async function stepShown(page: Page): Promise<number> {
  const text = await page.getByText(/^step [\d,]+ of/).textContent();
  return Number(/step ([\d,]+)/.exec(text ?? '')?.[1]?.replaceAll(',', ''));
}

export async function passStep(page: Page, step: number): Promise<void> {
  while ((await stepShown(page)) <= step) await page.waitForTimeout(50);
}

export async function openSimulated(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Use the simulated cohort' }).click();
  await page.getByRole('button', { name: 'Start training' }).waitFor();
}

/** Fields of the advanced settings, by their labels. */
export async function setAdvanced(page: Page, fields: Record<string, number>): Promise<void> {
  const summary = page.getByText('Advanced settings', { exact: true });
  for (const [label, value] of Object.entries(fields)) {
    const field = page.getByLabel(label, { exact: true });
    if (!(await field.isVisible())) await summary.click();
    await field.fill(String(value));
  }
}

/** Returns milliseconds from the click to the first step on the screen. */
export async function startTraining(page: Page): Promise<number> {
  const button = page.getByRole('button', { name: 'Start training' });
  const clicked = performance.now();
  await button.click();
  await page.getByText(/^step [1-9][\d,]* of/).waitFor({ timeout: 120_000 });
  return performance.now() - clicked;
}

export async function seeResults(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'See the results' }).click({ timeout: 240_000 });
  await page.getByRole('grid', { name: /Genes/ }).waitFor();
}

/** Presses a button of the Save card; the file's name and content. */
export async function save(
  page: Page,
  name: string,
): Promise<{ name: string; path: string; content: Buffer }> {
  const [download] = await Promise.all([
    page.waitForEvent('download', { timeout: 120_000 }),
    page.getByRole('button', { name }).click(),
  ]);
  const path = await download.path();
  return { name: download.suggestedFilename(), path, content: await readFile(path) };
}

/** Files as the picker gives them. */
export interface FileToGive {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

export function fileOf(name: string, content: string | Uint8Array): FileToGive {
  return { name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) };
}

export async function giveFiles(page: Page, files: readonly FileToGive[]): Promise<void> {
  await page.getByLabel('Choose files').setInputFiles([...files]);
}
