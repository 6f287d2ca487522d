/** The tables beside the features of spatial bags: targets, patients, splits, spots, provenance. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Papa from 'papaparse';
import { HistogradError } from '../../errors.ts';
import { serializeSafetensors } from '../safetensors.ts';
import type { StSpot } from '../st-sections.ts';
import { leaveOneGroupOut, perTenThousand, type SplitRow } from '../st-windows.ts';
import { writeFileAtomic } from './atomic-write.ts';
import { readError } from './read-file.ts';

/** What is known of a bag besides its features. */
export interface BagTarget {
  readonly slide: string;
  readonly section: string;
  readonly patient: string;
  /** In the order of the bag's rows. */
  readonly spots: readonly (StSpot & { readonly total: number })[];
  /** Raw counts of the selected genes, per spot. */
  readonly spotCounts: readonly Float64Array[];
}

/**
 * Writes, into `out`:
 * - `expression.csv`: slide, then a column per gene: counts per 10,000 of the bag's library;
 * - `patients.csv`: slide, patient, section;
 * - `splits-section.csv`, `splits-patient.csv`: fold, slide, part. Leave one section out among the
 *   sections of one patient (other patients take no part in that fold), and leave one patient out; a file is
 *   left out where there is nothing to leave out;
 * - `spots.csv`: slide, row in the bag, section, spot index, array_x, array_y, total;
 * - `spot-expression.safetensors`: `expression` f32 [rows of spots.csv, G], per 10,000 of the spot's
 *   library; gene symbols as JSON in the metadata's `genes`;
 * - `README.txt` and, last, `manifest.json`.
 *
 * @returns what each fold tests
 */
export async function writeBagTables(
  out: string,
  content: {
    bags: readonly BagTarget[];
    symbols: readonly string[];
    seed: number;
    validation: boolean;
    provenance: Readonly<Record<string, unknown>>;
  },
): Promise<{ sectionFolds: string[]; patientFolds: string[] }> {
  const { bags, symbols, seed, validation, provenance } = content;
  await writeCsv(
    join(out, 'expression.csv'),
    ['slide', ...symbols],
    bags.map((bag) => [bag.slide, ...bagExpression(bag)]),
  );
  await writeCsv(
    join(out, 'patients.csv'),
    ['slide', 'patient', 'section'],
    bags.map(({ slide, patient, section }) => [slide, patient, section]),
  );
  await writeCsv(
    join(out, 'spots.csv'),
    ['slide', 'row', 'section', 'index', 'array_x', 'array_y', 'total'],
    bags.flatMap(({ slide, section, spots }) =>
      spots.map((s, row) => [slide, row, section, s.index, s.arrayX, s.arrayY, s.total]),
    ),
  );
  await writeFileAtomic(join(out, 'spot-expression.safetensors'), spotExpression(bags, symbols));

  const bySection = sectionSplits(bags, seed, validation);
  const byPatient = leaveOneGroupOut(
    bags.map(({ slide, patient }) => ({ slide, group: patient })),
    seed,
    validation,
  );
  const splits = [
    ['splits-section.csv', bySection],
    ['splits-patient.csv', byPatient],
  ] as const;
  for (const [name, rows] of splits) {
    if (rows.length === 0) continue;
    const lines = rows.map(({ fold, slide, part }) => [fold, slide, part]);
    await writeCsv(join(out, name), ['fold', 'slide', 'part'], lines);
  }
  const folds = {
    sectionFolds: testedGroups(bySection, bags, 'section'),
    patientFolds: testedGroups(byPatient, bags, 'patient'),
  };
  await writeFileAtomic(join(out, 'README.txt'), README);
  const manifest = { ...provenance, bags: bags.length, genes: symbols.length, ...folds };
  await writeFileAtomic(join(out, 'manifest.json'), `${JSON.stringify(manifest, undefined, 1)}\n`);
  return folds;
}

/**
 * Old bags must not mix with new ones.
 *
 * @throws HistogradError `out-not-empty` when `path` is a folder with something in it
 */
export async function requireEmptyFolder(path: string): Promise<void> {
  const found = await readdir(path).catch((cause: unknown) => {
    const error = readError(path, cause);
    if (error.code === 'no-file') return [];
    throw error;
  });
  if (found.length === 0) return;
  throw new HistogradError(
    'out-not-empty',
    `${path} is not empty: it holds ${found.slice(0, 3).join(', ')}${found.length > 3 ? ', ...' : ''}.`,
    'Choose a new folder, or remove what is there.',
  );
}

function bagExpression({ spots, spotCounts }: BagTarget): Float32Array {
  const sum = new Float64Array(spotCounts[0]!.length);
  for (const counts of spotCounts) {
    for (let g = 0; g < sum.length; g++) sum[g] = sum[g]! + counts[g]!;
  }
  const total = spots.reduce((all, spot) => all + spot.total, 0);
  return perTenThousand(sum, total);
}

function spotExpression(bags: readonly BagTarget[], symbols: readonly string[]): Uint8Array {
  const rows = bags.reduce((sum, bag) => sum + bag.spots.length, 0);
  const expression = new Float32Array(rows * symbols.length);
  let at = 0;
  for (const { spots, spotCounts } of bags) {
    for (const [k, counts] of spotCounts.entries()) {
      expression.set(perTenThousand(counts, spots[k]!.total), at);
      at += symbols.length;
    }
  }
  return serializeSafetensors(
    { expression: { shape: [rows, symbols.length], data: expression } },
    { genes: JSON.stringify(symbols) },
  );
}

/** Leave one section out, patient by patient; folds are numbered through. */
function sectionSplits(bags: readonly BagTarget[], seed: number, validation: boolean): SplitRow[] {
  const rows: SplitRow[] = [];
  for (const patient of new Set(bags.map((bag) => bag.patient))) {
    const own = bags.filter((bag) => bag.patient === patient);
    const first = (rows.at(-1)?.fold ?? -1) + 1;
    const slides = own.map(({ slide, section }) => ({ slide, group: section }));
    for (const row of leaveOneGroupOut(slides, seed, validation)) {
      rows.push({ ...row, fold: first + row.fold });
    }
  }
  return rows;
}

function testedGroups(
  rows: readonly SplitRow[],
  bags: readonly BagTarget[],
  group: 'section' | 'patient',
): string[] {
  const groupOf = new Map(bags.map((bag) => [bag.slide, bag[group]]));
  const tested: string[] = [];
  for (const { fold, slide, part } of rows) if (part === 'test') tested[fold] = groupOf.get(slide)!;
  return tested;
}

async function writeCsv(
  path: string,
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): Promise<void> {
  const text = Papa.unparse([[...header], ...rows.map((row) => [...row])], { newline: '\n' });
  await writeFileAtomic(path, `${text}\n`);
}

const README = `Bags of tiles with bulk expression, made from spatial transcriptomics by histograd.

A bag ("slide" in the tables) is a window of spots of one section; its tiles are the spots' crops and
its expression is the spots' summed counts. manifest.json says where it comes from and how it was made.

features/*.safetensors       features [n, d], coords [n, 2] (pixels of the section's image)
expression.csv               counts per 10,000 of the library; take logs when training
patients.csv                 slide, patient, section
splits-section.csv           leave one section out within a patient (train and test share the patient)
splits-patient.csv           leave one patient out
spots.csv                    one line per tile: slide, row in the bag, section, spot
spot-expression.safetensors  expression [lines of spots.csv, G] of each tile's own spot

Bags of one section are neighbours in one tissue: split by section or by patient, never by bag.
`;
