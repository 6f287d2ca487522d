import { describe, expect, it } from 'vitest';
import { defaultPatient, matchSamples, sampleMatcher } from '../../src/data/sample-match.ts';
import { expectError } from './expect-error.ts';

const slide = (id: string, patient = defaultPatient(id)) => ({ id, patient });
const UUID = '0c7aca3f-e006-4de3-afc2-20b4f727d4fd';
const TCGA = slide(`TCGA-A1-A0SB-01Z-00-DX1.${UUID}`);

describe('defaultPatient', () => {
  it('takes the TCGA patient, else the id', () => {
    expect(TCGA.patient).toBe('TCGA-A1-A0SB');
    expect(defaultPatient('tcga-a1-a0sb-01Z')).toBe('TCGA-A1-A0SB');
    expect(defaultPatient('B17-TCGA')).toBe('B17-TCGA');
  });
});

describe('matchSamples', () => {
  const match = (samples: string[], ...slides: { id: string; patient: string }[]) =>
    matchSamples(slides, samples, 'rna.csv');

  it('prefers the slide’s id, then its patient', () => {
    const slides = [slide('a', 'P'), slide('b', 'P'), slide('c', 'Q')];
    expect(match(['P', 'b'], ...slides)).toEqual([0, 1, undefined]);
  });

  it('finds TCGA samples under all of their names', () => {
    for (const name of [
      'TCGA-A1-A0SB',
      'TCGA-A1-A0SB-01',
      'TCGA-A1-A0SB-01A-11R-A144-07',
      TCGA.id,
    ]) {
      expect(match(['other', name], TCGA)).toEqual([1]);
      expect(sampleMatcher([TCGA])(name)).toBe(true);
    }
    // Normal tissue (11) of the same patient is another sample.
    expect(match(['TCGA-A1-A0SB-11', 'TCGA-A1-A0SC-01'], TCGA)).toEqual([undefined]);
    expect(sampleMatcher([TCGA])('TCGA-A1-A0SB-11')).toBe(false);
    expect(match(['TCGA-A1-A0SB-11', 'TCGA-A1-A0SB-01'], TCGA)).toEqual([1]);
  });

  it('refuses to choose among aliquots', () =>
    expectError(
      () => match(['TCGA-A1-A0SB-01A-11R', 'TCGA-A1-A0SB-01B-11R'], TCGA),
      'ambiguous-sample',
      /DX1.* belongs to 2 samples: TCGA-A1-A0SB-01A-11R, TCGA-A1-A0SB-01B/,
    ));
});
