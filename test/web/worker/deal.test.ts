import { describe, expect, it } from 'vitest';
import type { Dataset } from '../../../src/web/worker/dataset.ts';
import { deal, partsOfSlides } from '../../../src/web/worker/deal.ts';
import { planTraining } from '../../../src/web/worker/plan-training.ts';
import { defaultSettings } from '../../../src/web/worker/settings.ts';
import { testDevice } from '../../device.ts';
import { tinyDataset } from './tiny-data.ts';

const shares = { testFraction: 0.25, validationFraction: 0.25, seed: 3 };

/** The tiny slides, as if these were their patients. */
function withPatients(patients: readonly string[]): Dataset {
  const dataset = tinyDataset('slides');
  const { source, summary } = dataset;
  return {
    ...dataset,
    source: {
      ...source,
      slides: patients.map((patient, i) => ({ ...source.slides[i]!, patient })),
    },
    slideOfSample: Uint32Array.from(patients.keys()),
    summary: { ...summary, slides: summary.slides.slice(0, patients.length) },
  };
}

function sorted({ train, validation, test }: Record<'train' | 'validation' | 'test', number[]>) {
  return [...train, ...validation, ...test].sort((a, b) => a - b);
}

describe('deal', () => {
  it('keeps the slides of a patient together, and uses every slide once', async () => {
    const patients = Array.from({ length: 12 }, (_, i) => `P${i % 4}`);
    const dataset = withPatients(patients);
    const { samples, split } = await deal(dataset, shares);
    expect(split).toEqual({ unit: 'patients', train: 2, validation: 1, test: 1, note: null });
    expect(sorted(samples)).toEqual(patients.map((_, i) => i));
    const of = (part: readonly number[]) => new Set(part.map((i) => patients[i]));
    expect(of(samples.train).size + of(samples.validation).size + of(samples.test).size).toBe(4);
    const parts = partsOfSlides(dataset, samples);
    expect(samples.test.map((i) => parts[i])).toEqual(['test', 'test', 'test']);
  });

  it('is decided by the seed, not by the order of the slides', async () => {
    const patients = Array.from({ length: 12 }, (_, i) => `P${i}`);
    const test = async (order: readonly string[], seed: number) => {
      const { samples } = await deal(withPatients(order), { ...shares, seed });
      return samples.test.map((i) => order[i]).sort();
    };
    expect(await test([...patients].reverse(), 3)).toEqual(await test(patients, 3));
    expect(await test(patients, 4)).not.toEqual(await test(patients, 3));
  });

  it('rather leaves out validation than tear one of two patients apart, and says so', async () => {
    const { samples, split } = await deal(withPatients(['A', 'A', 'B', 'B', 'B']), shares);
    expect(split).toMatchObject({ train: 1, validation: 0, test: 1 });
    expect(split.note).toContain('too few for a validation part');
    expect(samples.validation).toEqual([]);
  });

  it('deals slides where there is one patient, and warns', async () => {
    const { split } = await deal(withPatients(['A', 'A', 'A', 'A']), shares);
    expect(split).toMatchObject({ unit: 'slides', train: 2, validation: 1, test: 1 });
    expect(split.note).toContain('say nothing about other patients');
  });

  it.each([3, 4])(
    'deals stripes of a single section, apart from each other (seed %i)',
    async (seed) => {
      const dataset = tinyDataset('spots');
      const { x, size } = await dataset.places(0);
      const { samples, split } = await deal(dataset, { ...shares, seed });
      expect(split.note).toContain('optimistic');
      const reach = (part: readonly number[]) => {
        const at = part.map((spot) => x[spot]!);
        return [Math.min(...at), Math.max(...at)] as const;
      };
      const ranges = [samples.train, samples.validation, samples.test].map(reach);
      ranges.sort((a, b) => a[0] - b[0]);
      expect(ranges[1]![0] - ranges[0]![1]).toBeGreaterThan(2 * size);
      expect(ranges[2]![0] - ranges[1]![1]).toBeGreaterThan(2 * size);
      // The margins cost some spots, no more than three columns each.
      expect(sorted(samples).length).toBeGreaterThanOrEqual(120 - 2 * 3 * 5);
      expect(partsOfSlides(dataset, samples)).toEqual(['unassigned']);
    },
  );

  it('refuses shares that leave nothing, and a single slide', async () => {
    const all = { ...shares, testFraction: 0.6, validationFraction: 0.4 };
    await expect(deal(tinyDataset('slides'), all)).rejects.toMatchObject({ code: 'bad-option' });
    await expect(deal(withPatients(['A']), shares)).rejects.toMatchObject({ code: 'too-few' });
  });
});

describe('a kNN', () => {
  it('has fewer neighbours than training slides by default; where it has not, the page says so', async () => {
    const dataset = tinyDataset('slides');
    const settings = defaultSettings('knn', dataset);
    expect(settings.modelOptions.k).toBe(2); // of 12 slides
    const note = async (k: number) => {
      const modelOptions = { ...settings.modelOptions, k };
      const plan = await planTraining(await testDevice(), dataset, { ...settings, modelOptions });
      return plan.split.note;
    };
    expect(await note(2)).toBeNull();
    expect(await note(100)).toMatch(/^With k = 100 and 8 training slides every prediction/);
  });
});
