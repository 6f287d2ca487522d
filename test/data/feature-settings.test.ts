import { describe, expect, it } from 'vitest';
import {
  allSettingChanges,
  flagsOf,
  parseFeatureSettings,
  sharedSettings,
  tileChanges,
} from '../../src/data/feature-settings.ts';
import { expectError } from './expect-error.ts';

const SETTINGS = {
  format: 1,
  extractor: 'uni',
  weights: 'a'.repeat(64),
  tiling: { mpp: 0.5, size: 224, overlap: 0, edge: 'drop' },
  select: { tissue: 'otsu', minTissue: 0.2, selector: 'none' },
  stain: 'none',
  preprocessing: { size: 224, mean: [0.5, 0.5, 0.5] },
  slide: { file: 'a.svs', bytes: 17 },
};
const file = (path: string, changes: object = {}) => ({
  path,
  settings: { ...SETTINGS, ...changes },
});

describe('settings of one cohort', () => {
  it('are what the files share, without what is a slide’s own', () => {
    const { settings, warning } = sharedSettings([
      file('a.h5'),
      file('b.h5', { slide: { file: 'b.svs', bytes: 5 }, mppOverride: 0.25, format: undefined }),
    ]);
    const { slide: _, format: __, ...shared } = SETTINGS;
    expect(settings).toEqual(shared);
    expect(warning).toBeUndefined();
  });

  it('do not depend on the order in which they were written', () => {
    const tiling = { edge: 'drop', overlap: 0, size: 224, mpp: 0.5 };
    expect(tileChanges({ ...SETTINGS, tiling }, SETTINGS)).toEqual([]);
  });

  it('that differ are refused: two files, all differences, and the options behind them', async () => {
    const other = {
      extractor: 'resnet50',
      weights: 'b'.repeat(64),
      tiling: { ...SETTINGS.tiling, mpp: 1 },
      select: { tissue: 'otsu', minTissue: 0.2, selector: 'ig', keep: { sigmas: 1 } },
    };
    const files = [file('x/a.h5'), file('x/b.h5'), file('x/c.h5', other)];
    const mixed = () => sharedSettings(files);
    await expectError(mixed, 'mixed-features', 'x/c.h5, beside x/a.h5: extractor is resnet50');
    await expectError(
      mixed,
      'mixed-features',
      'expected uni; weights is bbbbbbbbbbbb…, expected aaaaaaaaaaaa…; tiling.mpp is 1, expected 0.5; ' +
        'select.selector is ig, expected none; select.keep is {"sigmas":1}, expected none.\n',
    );
    const advice =
      'with the same --weights, --tile-mpp, --selector, and --keep (histograd extract)';
    await expectError(mixed, 'mixed-features', advice);
  });

  it('leave out which tiles there are, where the question is what one tile becomes', () => {
    const other = {
      ...SETTINGS,
      tiling: { mpp: 0.5, size: 224, overlap: 32, edge: 'pad' },
      select: { tissue: 'none' },
    };
    expect(tileChanges(other, SETTINGS)).toEqual([]);
    expect(tileChanges({ ...other, stain: 'macenko' }, SETTINGS)).toEqual([
      { name: 'stain', found: 'macenko', expected: 'none' },
    ]);
  });

  it('compares whole values where it shows their beginning', () => {
    const one = { weights: `${'a'.repeat(63)}1` };
    expect(tileChanges(one, { weights: `${'a'.repeat(63)}2` })).toHaveLength(1);
  });

  it('are no matter between files that have none; some with and some without is a warning', () => {
    expect(sharedSettings([{ path: 'a.npy' }, { path: 'b.npy' }])).toEqual({});
    const { settings, warning } = sharedSettings([{ path: 'a.npy' }, file('b.h5'), file('c.h5')]);
    expect(settings).toMatchObject({ extractor: 'uni' });
    expect(warning).toMatch(
      /1 of 3 feature files do not say .*\(a\.npy\), the others do \(b\.h5\)/,
    );
    expect(() =>
      sharedSettings([{ path: 'a.npy' }, file('b.h5'), file('c.h5', { stain: 'macenko' })]),
    ).toThrow(/c\.h5, beside b\.h5: stain is macenko, expected none/);
  });

  it('of the same slide count the slide, when the question is whether it was done', () => {
    const changes = allSettingChanges(
      { ...SETTINGS, slide: { file: 'a.svs', bytes: 18 }, format: undefined },
      SETTINGS,
    );
    expect(changes).toEqual([{ name: 'slide.bytes', found: '18', expected: '17' }]);
    expect(flagsOf(changes)).toBe('');
  });
});

describe('parseFeatureSettings', () => {
  it('reads what was written, with and without a format', () => {
    expect(parseFeatureSettings(JSON.stringify(SETTINGS), 'a.h5')).toEqual(SETTINGS);
    expect(parseFeatureSettings('{"extractor":"uni"}', 'a.h5')).toEqual({ extractor: 'uni' });
  });

  it('refuses a newer format, with advice', async () => {
    const newer = () => parseFeatureSettings('{"format":2}', 'new.h5');
    const text = /new\.h5 .*format 2, .*up to 1\.\n.*Update histograd/;
    await expectError(newer, 'newer-features', text);
  });

  it.each(['', '[]', 'null', '{"format":"1"}', '{"extractor":'])('refuses %j', async (text) => {
    await expectError(() => parseFeatureSettings(text, 'a.h5'), 'bad-feature-settings', /a\.h5/);
  });
});
