import { describe, expect, it } from 'vitest';
import { inspectFiles } from '../../../src/web/data/index.ts';
import type { DroppedFile, Intake } from '../../../src/web/protocol.ts';
import { dicomFile } from '../../slides/write-dicom.ts';
import { dropped, features, gzipped, model, png, safetensors } from './files.ts';
import { fixture } from './fixtures.ts';

const TABLE = 'slide,ESR1,MKI67\nS1,1,2\nS2,3,4\n';
const two = () => [
  dropped('h5/S1.safetensors', features(4, 3)),
  dropped('h5/S2.safetensors', features(5, 3, 9)),
];
const PICTURE = png(40, 30, () => [200, 100, 150]);

const roles = ({ files }: Intake) =>
  Object.fromEntries(files.map(({ name, role }) => [name, role]));
const note = ({ files }: Intake, name: string) =>
  files.find((file) => file.name === name)?.note ?? '';

async function problemOf(files: readonly DroppedFile[]) {
  const intake = await inspectFiles(files);
  expect(intake.opens).toBeNull();
  return intake.problem;
}

describe('inspectFiles', () => {
  it('tells files by their content, whatever they are called', async () => {
    const intake = await inspectFiles([
      dropped('a/expression.h5', TABLE),
      dropped('a/S1.csv', fixture('data/fixtures/clam.h5')),
      dropped('a/.DS_Store', 'x'),
      dropped('a/README.md', 'one,two\n1,2\n'),
      dropped('a/S2.bin', fixture('data/fixtures/tensor.pt')),
    ]);
    expect(roles(intake)).toMatchObject({
      'a/expression.h5': 'expression',
      'a/S1.csv': 'features',
      'a/S2.bin': 'features',
      'a/.DS_Store': 'ignored',
      'a/README.md': 'ignored',
    });
  });

  it('says when the content is not what the name promises', async () => {
    const intake = await inspectFiles([
      dropped('slide-1.h5', 'some\nwords\n'),
      dropped('slide.svs', new Uint8Array(400)),
    ]);
    expect(note(intake, 'slide-1.h5')).toMatch(
      /^its name promises HDF5, but it is a list or a text/,
    );
    expect(note(intake, 'slide.svs')).toMatch(/^its name promises a TIFF image, but .*binary/);
  });

  it('says how many slides have expression, and which have none', async () => {
    const intake = await inspectFiles([
      ...two(),
      dropped('S3.safetensors', features(2, 3)),
      dropped('bulk.csv.gz', await gzipped('gene,S1,S2,S9\nESR1,1,2,3\nMKI67,1,2,3\n')),
    ]);
    expect(intake).toMatchObject({ opens: 'slides', problem: null, needsMpp: false, geneCount: 2 });
    expect(note(intake, 'bulk.csv.gz')).toBe(
      '2 of 3 slides have expression; left out: S3. 1 sample of bulk.csv.gz without a slide: S9.',
    );
    expect(note(intake, 'h5/S1.safetensors')).toBe('4 patches of width 3');
  });

  it('says what is missing', async () => {
    expect(await problemOf([])).toMatchObject({ code: 'no-files' });
    expect(await problemOf(two())).toMatchObject({
      code: 'no-expression',
      problem: '2 feature files, but no expression table and no model.',
    });
    expect(await problemOf([dropped('bulk.csv', TABLE)])).toMatchObject({ code: 'no-features' });
    expect(await problemOf([dropped('HE.png', PICTURE)])).toMatchObject({ code: 'no-model' });
    expect(await problemOf([dropped('m.safetensors', model(3))])).toMatchObject({
      code: 'nothing-to-predict',
    });
    expect(
      await problemOf([dropped('A1.tsv', '\tAAA\n2x3\t1\n3x3\t2\n'), dropped('A1.png', PICTURE)]),
    ).toMatchObject({ code: 'incomplete-section', problem: /A1 has counts .* no spot file/ });
    const spatial = 'barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\n';
    expect(
      await problemOf([dropped('V/spatial/tissue_positions.csv', `${spatial}AC-1,1,0,0,1,1\n`)]),
    ).toMatchObject({
      code: 'incomplete-section',
      problem: /V has no scalefactors_json\.json; .*no filtered/,
    });
  });

  it('says what does not match', async () => {
    expect(
      await problemOf([...two(), dropped('bulk.csv', 'slide,ESR1\nX1,1\nX2,2\n')]),
    ).toMatchObject({ code: 'no-slides', problem: /called S1, S2; the table has X1, X2/ });
    expect(
      await problemOf([
        ...two(),
        dropped('S3.safetensors', features(2, 4)),
        dropped('bulk.csv', TABLE),
      ]),
    ).toMatchObject({ code: 'width-mismatch' });
    expect(
      await problemOf([
        ...two(),
        dropped('pt/S1.safetensors', features(4, 3)),
        dropped('b.csv', TABLE),
      ]),
    ).toMatchObject({ code: 'duplicate-slide', problem: /h5\/S1.* and pt\/S1/ });
    expect(
      await problemOf([...two(), dropped('a.csv', TABLE), dropped('b.csv', TABLE)]),
    ).toMatchObject({ code: 'several-files', problem: /2 expression tables.*a\.csv, b\.csv/ });
    expect(
      await problemOf([
        ...two(),
        dropped('b.csv', TABLE),
        dropped('p.csv', 'slide,patient\nS1,P1\n'),
      ]),
    ).toMatchObject({ code: 'bad-patients', problem: /slide S2 is missing/ });
    const made = (mpp: number) => ({ format: 1, extractor: 'uni', tiling: { mpp, size: 224 } });
    expect(
      await problemOf([
        dropped('S1.safetensors', features(4, 3, 0, made(0.5))),
        dropped('S2.safetensors', features(4, 3, 0, made(1))),
        dropped('b.csv', TABLE),
      ]),
    ).toMatchObject({ code: 'mixed-features', problem: /tiling\.mpp/ });
  });

  it('gives the reason for every file that cannot be used', async () => {
    const bomb = new Uint8Array(new BigUint64Array([2n ** 60n]).buffer.slice(0));
    const npy = new TextEncoder().encode(
      `${"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1024), }".padEnd(117)}\n`,
    );
    const hostile = new Uint8Array([
      0x93,
      ...[...'NUMPY'].map((c) => c.charCodeAt(0)),
      1,
      0,
      118,
      0,
      ...npy,
    ]);
    const cut = fixture('data/fixtures/clam.h5');
    const intake = await inspectFiles([
      ...two(),
      dropped('b.csv', TABLE),
      dropped('cut.h5', cut.slice(0, 1500)),
      dropped('empty.csv', ''),
      dropped('evil.pt', fixture('data/fixtures/evil.pt')),
      dropped('hostile.npy', hostile),
      dropped('bomb.safetensors', new Uint8Array([...bomb, 0x7b])),
      dropped('positions.parquet', 'PAR1xxxx'),
      dropped(
        'sheet.xlsx',
        new Uint8Array(
          [...'PK\x03\x04'.padEnd(30, '\0')]
            .map((c) => c.charCodeAt(0))
            .concat([...'xl/workbook.xml'].map((c) => c.charCodeAt(0))),
        ),
      ),
      dropped(
        'noise.bin',
        new Uint8Array(300).map((_, i) => (i * 73) % 256),
      ),
      dropped('cut.csv.gz', (await gzipped(TABLE.repeat(999))).slice(0, 30)),
      dropped(
        'resume.safetensors',
        safetensors(
          { a: { shape: [1], data: Float32Array.of(1) } },
          { format: 'histograd-checkpoint' },
        ),
      ),
      dropped(
        'empty.safetensors',
        safetensors({ features: { shape: [0, 4], data: new Float32Array(0) } }),
      ),
      dropped(
        'deep.safetensors',
        safetensors({ features: { shape: [1, 1, 1], data: new Float32Array(1) } }),
      ),
    ]);
    expect(intake.opens).toBe('slides');
    const reasons: Record<string, RegExp> = {
      'cut.h5': /HDF5/,
      'empty.csv': /empty/,
      'evil.pt': /./,
      'hostile.npy': /bytes/,
      'bomb.safetensors': /binary|header/,
      'positions.parquet': /Parquet/,
      'sheet.xlsx': /Excel/,
      'noise.bin': /binary/,
      'cut.csv.gz': /uncompressed/,
      'resume.safetensors': /resume/,
      'empty.safetensors': /no patches/,
      'deep.safetensors': /shape/,
    };
    for (const [name, reason] of Object.entries(reasons)) {
      expect(roles(intake)[name], name).toBe('ignored');
      expect(note(intake, name), name).toMatch(reason);
    }
  });

  it('plans slides with a model, and asks for the resolution where a slide does not say it', async () => {
    const dicom = dropped('x/1.dcm', dicomFile());
    const label = dropped(
      'x/2.dcm',
      dicomFile({ elements: { '00080008': ['CS', 'DERIVED\\PRIMARY\\LABEL\\NONE'] } }),
    );
    const found = await inspectFiles([dicom, label, dropped('best.safetensors', model(75))]);
    expect(found).toMatchObject({ opens: 'slide-and-model', needsMpp: false, problem: null });
    expect(roles(found)).toEqual({
      'x/1.dcm': 'slide',
      'x/2.dcm': 'slide',
      'best.safetensors': 'model',
    });
    const picture = await inspectFiles([
      dropped('HE.png', PICTURE),
      dropped('m.safetensors', model(75)),
    ]);
    expect(picture).toMatchObject({ opens: 'slide-and-model', needsMpp: true });
    expect(await inspectFiles([...two(), dropped('m.safetensors', model(3))])).toMatchObject({
      opens: 'features-and-model',
      geneCount: null,
    });
  });

  it('says before anything is opened that a model cannot be used', async () => {
    const slide = dropped('x.dcm', dicomFile());
    expect(await problemOf([slide, dropped('m.safetensors', model(512))])).toMatchObject({
      code: 'weights-needed',
    });
    expect(await problemOf([...two(), dropped('m.safetensors', model(512))])).toMatchObject({
      code: 'width-mismatch',
    });
    const many = new Array<DroppedFile>(20_001).fill(slide);
    expect(await problemOf(many)).toMatchObject({ code: 'too-many-files', problem: /20001 files/ });
  });

  it('says that files vanished', async () => {
    const gone = dropped('S1.csv', TABLE);
    Object.defineProperty(gone.file, 'slice', {
      value: () => ({
        arrayBuffer: () => Promise.reject(new DOMException('gone', 'NotFoundError')),
      }),
    });
    const intake = await inspectFiles([gone]);
    expect(note(intake, 'S1.csv')).toMatch(/NotFoundError.*moved, changed or deleted/);
  });
});
