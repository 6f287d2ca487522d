import { describe, expect, test, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { announcement } from '../../../src/web/app/announce.ts';
import { dark } from '../../../src/web/app/theme.ts';
import { freshPage, mountApp, mountTraining } from './mount.tsx';

freshPage();

const heading = (name: string) => page.getByRole('heading', { level: 1, name });

describe('by keyboard only', () => {
  test('from the start to a running training', async () => {
    const { engine } = await mountApp();
    await userEvent.keyboard('{Tab}');
    await expect.element(page.getByRole('button', { name: 'Skip to the content' })).toHaveFocus();
    await userEvent.keyboard('{Enter}');
    await expect.element(page.getByRole('main')).toHaveFocus();
    await userEvent.keyboard('{Tab}');
    await expect
      .element(page.getByRole('button', { name: 'Use the simulated cohort' }))
      .toHaveFocus();
    await userEvent.keyboard('{Enter}');
    await expect.element(heading('Train')).toHaveFocus();
    // The chosen model, the chosen gene mode, the advanced settings, the start.
    await expect.element(page.getByRole('button', { name: 'Start training' })).toBeEnabled();
    await userEvent.keyboard('{Tab}');
    await expect.element(page.getByRole('radio', { name: 'Direct-Patch-Level' })).toHaveFocus();
    await userEvent.keyboard('{Tab}');
    await expect.element(page.getByRole('radio', { name: 'All 24 genes' })).toHaveFocus();
    await userEvent.keyboard('{Tab}{Tab}');
    await expect.element(page.getByRole('button', { name: 'Start training' })).toHaveFocus();
    await userEvent.keyboard(' ');
    await expect
      .element(page.getByRole('progressbar', { name: 'Training progress' }))
      .toBeVisible();
    await expect.element(page.getByRole('heading', { name: /on Simulated cohort/ })).toHaveFocus();
    engine.advance();
    await userEvent.keyboard('{Tab}');
    await expect.element(page.getByRole('button', { name: 'Pause' })).toHaveFocus();
  });

  test('what has the focus is outlined', async () => {
    await mountApp();
    await userEvent.keyboard('{Tab}{Tab}{Tab}');
    const link = page.getByRole('link', { name: 'Start' });
    await expect.element(link).toHaveFocus();
    await expect.element(link).toHaveStyle({ outlineStyle: 'solid', outlineWidth: '2px' });
  });
});

describe('screens', () => {
  test('each is reached by its link, takes the focus, and the browser goes back', async () => {
    await mountApp();
    for (const [link, name] of [
      ['Train', 'Train'],
      ['See', 'See'],
      ['Kernels', 'Kernel benchmarks'],
    ] as const) {
      await page.getByRole('link', { name: link, exact: true }).click();
      await expect.element(heading(name)).toHaveFocus();
    }
    await expect
      .element(page.getByRole('link', { name: 'Kernels' }))
      .toHaveAttribute('aria-current', 'page');
    history.back();
    await expect.element(heading('See')).toHaveFocus();
    await expect.element(page.getByText('There are no results yet')).toBeVisible();
  });

  test('the address survives a reload; unknown ones lead to the start', async () => {
    history.replaceState(null, '', '#kernels');
    await mountApp();
    await expect.element(heading('Kernel benchmarks')).toBeVisible();
    location.hash = '#nonsense/%';
    await expect.element(heading('Gene expression from histology, in this tab')).toBeVisible();
  });
});

describe('told to screen readers', () => {
  test('phases at once, progress seldom', async () => {
    const { engine } = await mountTraining();
    await expect.element(page.getByRole('status')).toHaveTextContent(/^Preparing/);
    engine.advance();
    await expect.element(page.getByRole('status')).toHaveTextContent('Training, epoch 1 of 20');
    const said = vi.fn();
    const stop = announcement.subscribe(said);
    engine.advance(5);
    stop();
    // Only what it was at first: five epochs in a moment are not read out.
    expect(said).toHaveBeenCalledOnce();
    engine.finish();
    await expect.element(page.getByRole('status')).toHaveTextContent('The results are ready');
  });
});

describe('theme', () => {
  test('follows the choice and remembers it', async () => {
    await mountApp();
    const ground = () => getComputedStyle(document.body).backgroundColor;
    await page.getByRole('combobox', { name: 'Colour theme' }).selectOptions('Dark');
    expect(ground()).toBe('rgb(18, 17, 23)');
    expect(dark.value).toBe(true);
    expect(localStorage.getItem('histograd.theme')).toBe('dark');
    await page.getByRole('combobox', { name: 'Colour theme' }).selectOptions('Light');
    expect(ground()).toBe('rgb(246, 246, 249)');
    expect(dark.value).toBe(false);
  });
});

describe('kernels', () => {
  test('measures, shows and copies', async () => {
    await mountApp();
    const copied = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
    await page.getByRole('link', { name: 'Kernels' }).click();
    await page.getByRole('button', { name: 'Measure' }).click();
    const table = page.getByRole('table', { name: 'Kernel benchmarks' });
    await expect.element(table).toHaveTextContent(/matmul 1024.*18.2 ms.*118 GFLOP\/s/);
    await page.getByRole('button', { name: 'Copy results' }).click();
    await expect.element(page.getByRole('button', { name: 'Copied' })).toBeVisible();
    expect(copied.mock.calls[0]![0]).toMatch(
      /Made-up adapter[\s\S]*matmul 1024\t18.2\t118 GFLOP\/s/,
    );
    copied.mockRestore();
  });

  test('where copying is forbidden, the page says so', async () => {
    await mountApp();
    const copied = vi.spyOn(navigator.clipboard, 'writeText').mockRejectedValue(new Error('no'));
    await page.getByRole('link', { name: 'Kernels' }).click();
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.getByRole('button', { name: 'Copy results' }).click();
    await expect
      .element(page.getByRole('button', { name: /does not allow copying/ }))
      .toBeVisible();
    copied.mockRestore();
  });
});
