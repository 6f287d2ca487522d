/** Text is readable in both themes: WCAG 2.1 AA, 4.5 for text and 3 for borders of controls and lines of figures. */
import { afterAll, describe, expect, test } from 'vitest';
import '../../../src/web/app/tokens.css';

const TEXT = [
  ['ink', ['bg', 'surface', 'surface-2', 'accent-soft', 'good-soft', 'warn-soft', 'bad-soft']],
  ['soft', ['bg', 'surface', 'surface-2', 'accent-soft']],
  ['accent', ['bg', 'surface', 'surface-2', 'accent-soft', 'bad-soft']],
  ['accent-strong', ['surface', 'accent-soft']],
  ['on-accent', ['accent', 'accent-strong']],
  ['good', ['surface', 'good-soft']],
  ['warn', ['surface', 'warn-soft']],
  ['bad', ['surface', 'bad-soft']],
] as const;
const LINES = [
  ['control', ['bg', 'surface']],
  ['focus', ['bg', 'surface', 'accent-soft']],
  ['series-1', ['surface']],
  ['series-2', ['surface']],
] as const;

const root = document.documentElement;

afterAll(() => {
  delete root.dataset.theme;
});

describe.each(['light', 'dark'])('%s theme', (theme) => {
  test.each([
    ['text', TEXT, 4.5],
    ['lines', LINES, 3],
  ] as const)('%s', (_, pairs, least) => {
    root.dataset.theme = theme;
    for (const [name, grounds] of pairs) {
      for (const ground of grounds) {
        expect(contrast(name, ground), `${name} on ${ground}`).toBeGreaterThanOrEqual(least);
      }
    }
  });
});

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}

function luminance(token: string): number {
  root.style.color = `var(--${token}, red)`;
  const channels = getComputedStyle(root).color.match(/\d+/g)?.map(Number) ?? [];
  root.style.removeProperty('color');
  expect(channels, `${token} is a token`).not.toEqual([255, 0, 0]);
  const [r, g, b] = channels.map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}
