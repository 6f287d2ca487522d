import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CohortOptions, loadCohort } from '../../../src/data/node/cohort.ts';
import { serializeSafetensors } from '../../../src/data/safetensors.ts';
import { cohortSource } from '../../../src/training/cohort-source.ts';
import { expectError } from '../expect-error.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'histograd-cohort-'));
  mkdirSync(join(folder, 'features'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function addSlide(name: string, rows = 2, width = 3, settings?: object): void {
  const path = join(folder, 'features', name);
  mkdirSync(dirname(path), { recursive: true });
  const features = { shape: [rows, width], data: new Float32Array(rows * width) };
  const metadata = settings ? { histograd: JSON.stringify(settings) } : undefined;
  writeFileSync(path, serializeSafetensors({ features }, metadata));
}
function addText(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const expression = (text: string) => addText('rna.csv', text);
const load = (options: Partial<CohortOptions> = {}) =>
  loadCohort({
    features: join(folder, 'features'),
    expression: join(folder, 'rna.csv'),
    ...options,
  });
const refuses = (options: Partial<CohortOptions>, code: string, text: RegExp) =>
  expectError(() => load(options), code, text);

describe('loadCohort', () => {
  it('pairs slides with expression and reads shapes, sorted by id', async () => {
    addSlide('b.safetensors', 5);
    addSlide('sub/folder/a.safetensors', 7);
    addSlide('.hidden.safetensors');
    addText('features/notes.txt', 'not a feature file');
    expression('id,G1,G2\nb,1,3\na,7,0\n');
    const cohort = await load({ transform: 'log2' });
    expect(cohort.slides).toEqual([
      {
        id: 'a',
        patient: 'a',
        path: join(folder, 'features/sub/folder/a.safetensors'),
        rows: 7,
        width: 3,
      },
      { id: 'b', patient: 'b', path: join(folder, 'features/b.safetensors'), rows: 5, width: 3 },
    ]);
    expect(cohort.genes).toEqual(['G1', 'G2']);
    expect([...cohort.targets]).toEqual([3, 0, 1, 2]);
    expect(cohort.warnings).toEqual([]);
  });

  it('shares a patient’s sample among its slides, and finds genes in rows', async () => {
    addSlide('TCGA-A1-A0SB-01Z-00-DX1.uuid.safetensors');
    addSlide('TCGA-A1-A0SB-01Z-00-DX2.uuid.safetensors');
    expression('gene,TCGA-A1-A0SB-01\nG1,5\nG2,6\n');
    const { slides, targets, genes } = await load();
    expect(slides.map(({ patient }) => patient)).toEqual(['TCGA-A1-A0SB', 'TCGA-A1-A0SB']);
    expect(slides[0]?.id).toBe('TCGA-A1-A0SB-01Z-00-DX1.uuid');
    expect([genes, ...targets]).toEqual([['G1', 'G2'], 5, 6, 5, 6]);
  });

  it('takes patients from a table or a pattern', async () => {
    addSlide('A_1.safetensors');
    addSlide('A_2.safetensors');
    expression('id,G1\nA_1,1\nA_2,2\n');
    const names = async (options: Partial<CohortOptions>) =>
      (await load(options)).slides.map(({ patient }) => patient);
    const patients = addText('p.csv', 'patient,slide,age\nP,A_1,7\nQ,A_2,8\nR,other,9\n');
    expect(await names({ patients })).toEqual(['P', 'Q']);
    expect(await names({ patientPattern: '^([^_]+)_' })).toEqual(['A', 'A']);
    expect(await names({ patientPattern: '[12]' })).toEqual(['1', '2']);
  });

  it('keeps the genes asked for', async () => {
    addSlide('a.safetensors');
    expression('id,G1,G2,G3\na,1,2,3\n');
    expect([...(await load({ genes: ['G3', 'G1'] })).targets]).toEqual([3, 1]);
    await refuses({ genes: ['G4'] }, 'unknown-gene', /G4 \(did you mean G1, G2, G3\?\)/);
  });

  it('transforms only the genes asked for: a negative value elsewhere does no harm', async () => {
    addSlide('a.safetensors');
    expression('id,G1,G2\na,1,-2\n');
    expect([...(await load({ genes: ['G1'], transform: 'log2' })).targets]).toEqual([1]);
    await refuses({ transform: 'log2' }, 'negative-expression', /gene G2 is -2/);
  });
});

describe('slides and samples that do not pair', () => {
  beforeEach(() => {
    for (const id of ['a', 'b', 'c']) addSlide(`${id}.safetensors`);
  });

  it('is an error that lists both directions', async () => {
    expression('id,G1\na,1\nx,2\ny,3\n');
    const text =
      /2 slides .* without expression in .*: b, c; 2 samples .* without a slide .*: x, y/;
    await refuses({}, 'missing-expression', text);
    expression('id,G1\na,1\nb,1\nc,1\nx,2\n');
    await refuses(
      {},
      'missing-slides',
      /1 sample .* without a slide .*: x\.[\s\S]*--on-missing skip/,
    );
  });

  it('lists only the first names', async () => {
    expression(`id,G1\na,1\nb,1\nc,1\n${[1, 2, 3, 4, 5, 6].map((i) => `x${i},1`).join('\n')}\n`);
    await refuses({}, 'missing-slides', /6 samples.*x1, x2, x3, x4, x5, …\./);
  });

  it('can be left out, with a warning', async () => {
    expression('id,G1\nc,9\na,1\nx,2\n');
    const { slides, targets, warnings } = await load({ onMissing: 'skip' });
    expect(slides.map(({ id }) => id)).toEqual(['a', 'c']);
    expect([...targets]).toEqual([1, 9]);
    expect(warnings).toHaveLength(2);
    expect(warnings.join()).toMatch(/1 slide .*: b; left out.*1 sample .*: x; left out/);
  });

  it('cannot be left out when nothing remains', async () => {
    expression('id,G1\nx,2\n');
    const orientation = 'genes-as-columns';
    await refuses({ onMissing: 'skip', orientation }, 'no-slides', /No slide has expression/);
    await refuses({}, 'unknown-orientation', /samples of the slides/);
  });
});

describe('bad cohorts', () => {
  it('no feature files, or no folder', async () => {
    expression('id,G1\na,1\n');
    await refuses({}, 'no-features', /features holds no feature files/);
    await refuses({ features: join(folder, 'nowhere') }, 'no-file', /nowhere does not exist/);
    const file = join(folder, 'rna.csv');
    await refuses({ features: file }, 'not-folder', /rna.csv is a file, where a folder/);
  });

  it('one slide id, two files', async () => {
    addSlide('a.safetensors');
    addSlide('pt_files/a.pt');
    expression('id,G1\na,1\n');
    await refuses({}, 'duplicate-slide', /Slide a has two feature files: .*a\.\w+ and .*a\.\w+\./);
  });

  it('different widths, empty bags, broken files', async () => {
    addSlide('a.safetensors', 2, 3);
    addSlide('b.safetensors', 2, 4);
    expression('id,G1\na,1\nb,1\n');
    await refuses({}, 'width-mismatch', /a\.safetensors has 3, .*b\.safetensors has 4/);
    addSlide('b.safetensors', 0, 3);
    await refuses({}, 'empty-bag', /b\.safetensors has no patches/);
    addText('features/b.safetensors', 'junk');
    await refuses({}, 'bad-safetensors', /b\.safetensors/);
  });

  it('features of other settings, or of a newer histograd', async () => {
    const settings = { extractor: 'uni', tiling: { mpp: 0.5 } };
    addSlide('a.safetensors', 2, 3, { ...settings, slide: 'a.svs' });
    addSlide('b.safetensors', 2, 3, { ...settings, slide: 'b.svs' });
    addSlide('c.safetensors');
    expression('id,G1\na,1\nb,1\nc,1\nd,1\n');
    const onMissing = 'skip';
    const { slides, warnings } = await load({ onMissing });
    expect(slides.map((slide) => slide.settings?.slide)).toEqual(['a.svs', 'b.svs', undefined]);
    expect(warnings.join()).toMatch(/1 of 3 feature files do not say/);
    expect(cohortSource(slides).settings).toEqual(settings);
    addSlide('d.safetensors', 2, 3, { ...settings, tiling: { mpp: 1 } });
    const text = /d\.safetensors, beside .*a\.safetensors: tiling\.mpp is 1, expected 0\.5/;
    await refuses({}, 'mixed-features', text);
    // What is not used does not matter.
    expression('id,G1\na,1\nb,1\nc,1\n');
    expect((await load({ onMissing })).slides).toHaveLength(3);
    addSlide('c.safetensors', 2, 3, { format: 2 });
    await refuses({ onMissing }, 'newer-features', /c\.safetensors/);
  });

  it('bad patient tables and patterns', async () => {
    addSlide('a.safetensors');
    expression('id,G1\na,1\n');
    const table = (text: string) => ({ patients: addText('p.csv', text) });
    await refuses(table('slide,patient\nb,P\n'), 'bad-patients', /slide a is missing/);
    await refuses(table('slide,name\na,P\n'), 'bad-patients', /header is 'slide,name'/);
    await refuses(table('slide,patient\na,P\na,Q\n'), 'bad-patients', /a is given twice/);
    await refuses(table('slide,patient\na,\n'), 'bad-patients', /'a,' is incomplete/);
    await refuses({ patients: join(folder, 'x.csv') }, 'no-file', /x\.csv/);
    await refuses({ patientPattern: '(' }, 'bad-pattern', /not a regular expression/);
    await refuses({ patientPattern: 'z' }, 'bad-pattern', /no patient in the slide id a/);
  });
});
