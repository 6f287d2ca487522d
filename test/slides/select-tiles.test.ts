import { describe, expect, it } from 'vitest';
import { measureTile, type TileMeasure } from '../../src/slides/measure-tile.ts';
import {
  type SelectOptions,
  type SelectorKind,
  selectedTiles,
  selectTiles,
} from '../../src/slides/select-tiles.ts';
import { planTiles, readTile } from '../../src/slides/tiling.ts';
import { expectError } from '../data/expect-error.ts';
import { hashNoise, memorySlide, tissuePixel } from './pictures.ts';

/** White; textured tissue from x = 256 on; smooth tissue from x = 512 on. 64-pixel tiles: 12 x 4. */
const slide = () =>
  memorySlide(
    768,
    256,
    (x, y) => {
      const n = hashNoise(x, y, 9) & 1;
      if (x < 256) return [243, 243, 243 - n];
      if (x >= 512) return [205, 120, 170 + n];
      const [r, g, b] = tissuePixel(x, y, 4);
      return g > 200 ? [205, 120, 170] : [r, g, b];
    },
    { mpp: 0.5 },
  );
const plan = planTiles(slide(), { mpp: 0.5, size: 64 });
const columns = (kept: readonly number[]) => new Set(kept.map((i) => plan.tiles[i]!.column));

describe('selectTiles', () => {
  it('keeps tissue by the overview alone, without reading tiles', async () => {
    const source = slide();
    const selection = await selectTiles(source, plan);
    expect(columns(selection.kept)).toEqual(new Set([4, 5, 6, 7, 8, 9, 10, 11]));
    expect(source.reads).toHaveLength(1);
    expect(selection.scores[0]).toBe(0);
    const all = await selectTiles(source, plan, { tissue: 'none' });
    expect(all.kept).toHaveLength(48);
  });

  it('sequoia drops tissue of low contrast', async () => {
    const { kept, scores } = await selectTiles(slide(), plan, { tissue: 'sequoia' });
    expect(columns(kept)).toEqual(new Set([4, 5, 6, 7]));
    expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
  });

  it.each(['shannon', 'ig', 'canny', 'dog', 'log'] as const)(
    '%s prefers texture',
    async (selector) => {
      const { kept, scores, threshold } = await selectTiles(slide(), plan, {
        selector,
        keep: { fraction: 0.5 },
      });
      expect(kept).toHaveLength(16);
      expect(columns(kept)).toEqual(new Set([4, 5, 6, 7]));
      // Tiles without tissue are not scored.
      expect(Number.isNaN(scores[0])).toBe(true);
      for (const i of kept) expect(scores[i]).toBeGreaterThanOrEqual(threshold);
    },
  );

  it('otsu scores the tissue of the tile by the threshold of the slide', async () => {
    const options = { tissue: 'none', selector: 'otsu', keep: { above: 0.5 } } as const;
    const { kept, scores } = await selectTiles(slide(), plan, options);
    expect(scores[0]).toBe(0);
    expect(scores[11]).toBe(1);
    expect(columns(kept)).toEqual(new Set([4, 5, 6, 7, 8, 9, 10, 11]));
  });

  it('lists tiles in the order of the plan, tells progress, and stops when asked', async () => {
    const steps: number[] = [];
    const options: SelectOptions = {
      selector: 'ig',
      keep: { fraction: 0.1 },
      onTile: (done, total) => steps.push(done / total),
    };
    const selection = await selectTiles(slide(), plan, options);
    const tiles = selectedTiles(plan, selection);
    expect(tiles).toHaveLength(3);
    expect(tiles.map(({ row, column }) => row * plan.columns + column)).toEqual([
      ...selection.kept,
    ]);
    expect(steps).toHaveLength(32);
    expect(steps.at(-1)).toBe(1);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(selectTiles(slide(), plan, { ...options, signal })).rejects.toThrow('enough');
  });

  it('takes measures from elsewhere, so many at once as asked for, in any order: the bits are the same', async () => {
    for (const options of [
      { selector: 'shannon', keep: { sigmas: 0.5 } },
      { selector: 'otsu', tissue: 'sequoia', keep: { fraction: 0.5 } },
      { tissue: 'sequoia' },
    ] as const) {
      const source = slide();
      let under = 0;
      let most = 0;
      const elsewhere = await selectTiles(source, plan, {
        ...options,
        atOnce: 5,
        measure: async (tile, question) => {
          most = Math.max(most, ++under);
          const answer = await measureTile(await readTile(source, plan, tile), question);
          await new Promise((resolve) => setTimeout(resolve, (7 * tile.x) % 5));
          under--;
          return answer;
        },
      });
      const { kept, scores, threshold } = await selectTiles(slide(), plan, options);
      expect(elsewhere.kept).toEqual(kept);
      expect([...elsewhere.scores, elsewhere.threshold]).toEqual([...scores, threshold]);
      expect(most).toBe(5);
    }
  });

  it('passes on what measuring throws, and asks for no more tiles', async () => {
    let asked = 0;
    const measure = async (): Promise<TileMeasure> => {
      if (++asked === 3) throw new Error('a damaged tile');
      return { kept: true, tissue: null, score: 1 };
    };
    const options = { selector: 'ig', keep: { fraction: 0.5 }, measure, atOnce: 4 } as const;
    await expect(selectTiles(slide(), plan, options)).rejects.toThrow('a damaged tile');
    expect(asked).toBeLessThanOrEqual(6);
  });

  it('keeps nothing of a slide that gives no tiles', async () => {
    const none = planTiles(slide(), { mpp: 0.5, size: 512 });
    expect(none.tiles).toEqual([]);
    const options = { selector: 'shannon', keep: { sigmas: 1 } } as const;
    expect((await selectTiles(slide(), none, options)).kept).toEqual([]);
  });

  it('refuses options that do not fit together', async () => {
    const bad: [SelectOptions, RegExp][] = [
      [{ selector: 'shannon' }, /no rule/],
      [{ keep: { sigmas: 1 } }, /no selector/],
      [{ minTissue: 20 }, /least tissue is 20/],
      [{ atOnce: 0 }, /0 tiles at once/],
      [
        { selector: JSON.parse('"hog"') as SelectorKind, keep: { sigmas: 1 } },
        /"hog" is not known/,
      ],
    ];
    for (const [options, text] of bad) {
      await expectError(() => selectTiles(slide(), plan, options), 'selector', text);
    }
  });
});
