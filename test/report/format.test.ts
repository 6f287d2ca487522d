import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCompact,
  formatCount,
  formatDuration,
  formatFixed,
  formatInteger,
  formatProbability,
  formatSignificant,
} from '../../src/report/format.ts';
import { html, trusted } from '../../src/report/html.ts';

describe('numbers as a paper prints them', () => {
  it.each([
    [formatFixed(0.4125), '0.412'],
    [formatFixed(-0.03149), '−0.031'],
    [formatFixed(-0.0001), '0.000'],
    [formatFixed(Number.NaN), '–'],
    [formatInteger(20530), '20,530'],
    [formatSignificant(0.021349), '0.0213'],
    [formatSignificant(1.984), '1.98'],
    [formatSignificant(12345), '12,345'],
    [formatSignificant(0), '0'],
    [formatSignificant(-3.12e-7), '−3.1 × 10⁻⁷'],
    [formatSignificant(4.2e12), '4.2 × 10¹²'],
    [formatSignificant(Number.POSITIVE_INFINITY), '–'],
    [formatProbability(0.0432), '0.043'],
    [formatProbability(3.14e-12), '3.1 × 10⁻¹²'],
    [formatProbability(0), '< 10⁻³⁰⁰'],
    [formatProbability(Number.NaN), '–'],
    [formatCompact(850), '850'],
    [formatCompact(9_999), '9,999'],
    [formatCompact(12_345), '12.3 k'],
    [formatCompact(1_310_720), '1.31 M'],
    [formatCompact(1.7e9), '1.70 G'],
    [formatDuration(0.0000195), '19.5 µs'],
    [formatDuration(0.0123), '12.3 ms'],
    [formatDuration(0.85), '0.85 s'],
    [formatDuration(59.4), '59 s'],
    [formatDuration(59.6), '1 min 00 s'],
    [formatDuration(200), '3 min 20 s'],
    [formatDuration(7500), '2 h 05 min'],
    [formatDuration(Number.NaN), '–'],
    [formatBytes(512 * 1024), '512 KiB'],
    [formatBytes(1.25 * 2 ** 30), '1.25 GiB'],
    [formatBytes(undefined), '–'],
    [formatCount(1, 'fold'), '1 fold'],
    [formatCount(1200, 'slide'), '1,200 slides'],
  ])('%s is %s', (found, expected) => {
    expect(found).toBe(expected);
  });
});

describe('html', () => {
  it('escapes strings for text and attributes, keeps Html, joins arrays, drops undefined', () => {
    const name = `<b a="1">'&`;
    expect(html`<p title="${name}">${[name, undefined, html`<i>${'x'}</i>`]}</p>`.html).toBe(
      '<p title="&lt;b a=&quot;1&quot;&gt;&#39;&amp;">&lt;b a=&quot;1&quot;&gt;&#39;&amp;<i>x</i></p>',
    );
    expect(html`${trusted('<br>')}`.html).toBe('<br>');
    expect(html`${'a\u0000b'}`.html).toBe('a\ufffdb');
  });
});
