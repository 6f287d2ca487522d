import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { renderPreview } from '../../src/slides/preview.ts';
import { KEPT_COLOUR, REJECTED_COLOUR } from '../../src/slides/preview-picture.ts';
import { type SelectOptions, selectTiles } from '../../src/slides/select-tiles.ts';
import { planTiles } from '../../src/slides/tiling.ts';
import { memorySlide, tissuePixel } from './pictures.ts';

async function preview(options: SelectOptions, size = 64, name = 'memory.svs') {
  const slide = {
    ...memorySlide(512, 320, (x, y) => (x < 128 ? [243, 242, 244] : tissuePixel(x, y, 4)), {
      mpp: 0.5,
    }),
    name,
  };
  const plan = planTiles(slide, { mpp: 0.5, size });
  const selection = await selectTiles(slide, plan, options);
  const svg = await renderPreview(slide, plan, selection);
  const base64 = /data:image\/png;base64,([A-Za-z0-9+/=]+)"/.exec(svg)?.[1] ?? '';
  const picture = decode(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
  const at = (x: number, y: number) => [
    ...picture.data.slice((y * picture.width + x) * 3, (y * picture.width + x) * 3 + 3),
  ];
  return { svg, plan, selection, picture, at };
}

describe('renderPreview', () => {
  it('outlines kept and rejected tiles, and leaves empty ones alone', async () => {
    const options = { selector: 'ig', keep: { fraction: 0.5 } } as const;
    const { svg, plan, selection, picture, at } = await preview(options);
    expect([picture.width, picture.height]).toEqual([512, 320]);
    let [kept, rejected] = [0, 0];
    for (const [i, { x, y }] of plan.tiles.entries()) {
      const corner = at(x, y);
      if (selection.kept.includes(i)) {
        expect(corner).toEqual([...KEPT_COLOUR]);
        kept++;
      } else if (!Number.isNaN(selection.scores[i])) {
        expect(corner).toEqual([...REJECTED_COLOUR]);
        rejected++;
      } else {
        expect(Math.min(...corner)).toBeGreaterThan(240);
      }
    }
    expect(Math.min(kept, rejected)).toBeGreaterThan(3);
    expect(svg).toContain(`>${kept} kept<`);
    expect(svg).toContain(`>${rejected} rejected, outlined and paled<`);
    expect(svg).toContain('>mean gradient magnitude<');
    expect(svg).toContain(`>threshold ${Number(selection.threshold.toPrecision(4))}<`);
    expect(svg).toContain('512 × 320 px at 0.5 µm/px');
  });

  it('counts every tile that was in question once in the histogram', async () => {
    const { svg, selection } = await preview({}, 16);
    // Bars are as high as counts: one tile's height from the tick lines' distance is not needed, only their sum.
    const bars = [...svg.matchAll(/<rect x="[\d.]+" width="[\d.]+" y="[\d.]+" height="([\d.]+)"/g)];
    const height = bars.reduce((sum, [, value]) => sum + Number(value), 0);
    const shown = [...selection.scores].filter((score) => score > 0).length;
    const most = Math.max(...bars.map(([, value]) => Number(value)));
    // The highest stack is 250 / 1.12 high.
    expect(most).toBeLessThanOrEqual(250 / 1.12 + 0.02);
    const unit = height / shown;
    for (const [, value] of bars) {
      expect(Math.abs(Number(value) / unit - Math.round(Number(value) / unit))).toBeLessThan(0.1);
    }
  });

  it('survives a slide without tissue, and a name that is markup', async () => {
    const name = '<script>alert("&")</script>\u0001.svs';
    const { svg } = await preview({ tissue: 'none', selector: 'ig', keep: { above: 9 } }, 64, name);
    expect(svg).not.toContain('<script');
    expect(svg).not.toContain('\u0001');
    expect(svg).toContain('&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;');
    expect(svg).toContain('>threshold 9, above all scores<');
    const blank = memorySlide(256, 256, () => [240, 240, 240], { mpp: 0.5 });
    const plan = planTiles(blank, { mpp: 0.5, size: 64 });
    const empty = await selectTiles(blank, plan, { selector: 'shannon', keep: { sigmas: 1 } });
    expect(await renderPreview(blank, plan, empty)).toContain('No tile has tissue.');
  });
});
