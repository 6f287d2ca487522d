import { describe, expect, it } from 'vitest';
import {
  kFoldSplits,
  leaveOnePatientOut,
  type Split,
  splitsFromCsv,
} from '../../src/data/splits.ts';
import { expectError } from './expect-error.ts';

/** 12 patients with one to three slides each. */
const PATIENTS = Array.from({ length: 24 }, (_, i) => `P${(i * 7) % 12}`).concat('P3', 'P5');
const parts = ({ train, validation, test }: Split) => [train, validation, test];
const patientsOf = (slides: number[], patients = PATIENTS) =>
  new Set(slides.map((slide) => patients[slide]));

function expectSound(splits: Split[], patients = PATIENTS) {
  for (const split of splits) {
    const all = parts(split).flat();
    expect([...all].sort((a, b) => a - b)).toEqual(patients.map((_, i) => i));
    expect(split.train.length).toBeGreaterThan(0);
    const [train, validation, test] = parts(split).map((slides) => patientsOf(slides, patients));
    for (const patient of test ?? []) {
      expect(train?.has(patient) || validation?.has(patient)).toBe(false);
    }
    for (const patient of validation ?? []) expect(train?.has(patient)).toBe(false);
  }
  const tested = splits.flatMap(({ test }) => test).sort((a, b) => a - b);
  expect(tested).toEqual(patients.map((_, i) => i));
}

describe('kFoldSplits', () => {
  it('tests every slide once and keeps patients together', () => {
    for (const validationFraction of [undefined, 0, 0.01, 0.2, 0.5]) {
      const splits = kFoldSplits(PATIENTS, { folds: 5, seed: 1, validationFraction });
      expect(splits.map(({ name }) => name)).toEqual([0, 1, 2, 3, 4].map((i) => `fold-${i}`));
      expectSound(splits);
      for (const { validation } of splits) {
        expect(validation.length > 0).toBe((validationFraction ?? 0) > 0);
      }
    }
  });

  it('has folds of nearly equal numbers of patients', () => {
    const sizes = kFoldSplits(PATIENTS, { folds: 5, seed: 1 }).map(
      ({ test }) => patientsOf(test).size,
    );
    expect([...sizes].sort()).toEqual([2, 2, 2, 3, 3]);
  });

  it('has folds of equal numbers of slides, where one patient has many', () => {
    const patients = [...new Array<string>(6).fill('big'), ...'abcdefghijkl'];
    const splits = kFoldSplits(patients, { folds: 3, seed: 2 });
    expect(splits.map(({ test }) => test.length)).toEqual([6, 6, 6]);
    expectSound(splits, patients);
  });

  it('depends on the seed, not on the order of the slides', () => {
    const options = { folds: 3, seed: 5, validationFraction: 0.3 };
    const first = kFoldSplits(PATIENTS, options);
    expect(kFoldSplits(PATIENTS, options)).toEqual(first);
    expect(kFoldSplits(PATIENTS, { ...options, seed: 6 })).not.toEqual(first);
    const reversed = [...PATIENTS].reverse();
    const again = kFoldSplits(reversed, options);
    for (const [i, split] of first.entries()) {
      expect(patientsOf(again[i]?.validation ?? [], reversed)).toEqual(
        patientsOf(split.validation),
      );
      expect(patientsOf(again[i]?.test ?? [], reversed)).toEqual(patientsOf(split.test));
    }
  });

  it('refuses impossible folds and fractions', async () => {
    for (const folds of [1, 0, 2.5, 13, Number.NaN]) {
      await expectError(
        () => kFoldSplits(PATIENTS, { folds, seed: 1 }),
        'bad-folds',
        /12 patients/,
      );
    }
    for (const validationFraction of [-0.1, 1, Number.NaN, 0.99]) {
      await expectError(
        () => kFoldSplits(PATIENTS, { folds: 3, seed: 1, validationFraction }),
        'bad-validation-fraction',
        /fraction/,
      );
    }
  });
});

describe('leaveOnePatientOut', () => {
  it('has one split per patient, named after it', () => {
    const splits = leaveOnePatientOut(PATIENTS, { seed: 1, validationFraction: 0.2 });
    expectSound(splits);
    expect(splits).toHaveLength(12);
    for (const { name, test } of splits) expect([...patientsOf(test)]).toEqual([name]);
  });

  it('refuses fewer than two patients, or none to train on', async () => {
    await expectError(() => leaveOnePatientOut(['a', 'a'], { seed: 1 }), 'bad-folds', /found 1/);
    await expectError(
      () => leaveOnePatientOut(['a', 'b'], { seed: 1, validationFraction: 0.1 }),
      'bad-validation-fraction',
      /none of its 1 patient /,
    );
  });
});

describe('splitsFromCsv', () => {
  const ids = ['a', 'b', 'c', 'd'];
  const patients = ['P1', 'P1', 'P2', 'P3'];
  const parse = (text: string) => splitsFromCsv(text, ids, patients);
  const refuses = (text: string, message: RegExp, code = 'bad-splits') =>
    expectError(() => parse(text), code, message);

  it('reads slide,fold: each fold is tested once', () => {
    const splits = parse('slide,fold\nd,x\nb,y\na,y\nc,x\n');
    expect(splits).toEqual([
      { name: 'x', train: [0, 1], validation: [], test: [2, 3] },
      { name: 'y', train: [2, 3], validation: [], test: [0, 1] },
    ]);
  });

  it('keeps patients for validation when asked', async () => {
    const options = { seed: 1, validationFraction: 0.5 };
    const [x, y, z] = splitsFromCsv('slide,fold\na,x\nb,x\nc,y\nd,z\n', ids, patients, options);
    expect([x?.train.length, x?.validation.length, x?.test]).toEqual([1, 1, [0, 1]]);
    expect([y?.test, z?.test]).toEqual([[2], [3]]);
    const two = 'slide,fold\na,0\nb,0\nc,1\nd,1\n';
    await expectError(
      () => splitsFromCsv(two, ids, patients, options),
      'bad-validation-fraction',
      /Split 1: .* none of its 1 patient /,
    );
  });

  it('reads one column per split', () => {
    const text = 'slide\tone\ttwo\na\ttrain\ttest\nb\tTrain\ttest\nc\tval\t\nd\ttest\ttrain\n';
    expect(parse(text)).toEqual([
      { name: 'one', train: [0, 1], validation: [2], test: [3] },
      { name: 'two', train: [3], validation: [], test: [0, 1] },
    ]);
  });

  it('refuses a patient in two parts', async () => {
    await refuses('slide,fold\na,0\nb,1\nc,1\nd,0\n', /patient P1 in two folds/, 'patient-leak');
    await refuses(
      'slide,s\na,train\nb,test\nc,train\nd,test\n',
      /Split s has slides of patient P1 in both train and test/,
      'patient-leak',
    );
    await refuses('slide,s\na,train\nb,val\nc,train\nd,test\n', /P1/, 'patient-leak');
  });

  it('refuses tables that do not fit the cohort', async () => {
    await refuses('id,fold\n', /header is 'id,fold'/);
    await refuses('slide\na\n', /header is 'slide'/);
    await refuses('', /header is ''/);
    await refuses('slide,fold\na,0\nb,0\nc,1\n', /1 slide of the cohort missing: d/);
    await refuses('slide,fold\na,0\nb,0\nc,1\nd,1\ne,1\n', /'e' is not in the cohort/);
    await refuses('slide,fold\na,0\na,0\n', /'a' is given twice/);
    await refuses('slide,fold\na,0,0\n', /line of slide 'a' has 3 cells/);
    await refuses('slide,fold\na,0\nb,0\nc,0\nd,0\n', /only one fold/);
    await refuses('slide,fold\na,0\nb,0\nc,1\nd,\n', /no fold/);
    await refuses('slide,s\na,train\nb,train\nc,trian\nd,test\n', /'trian' for slide 'c'/);
    await refuses('slide,s\na,train\nb,train\nc,train\nd,train\n', /0 test slides/);
    await refuses('slide,s\na,test\nb,test\nc,test\nd,val\n', /0 training/);
  });
});
