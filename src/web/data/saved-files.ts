/** What a saved data set says of itself, in the browser's storage: the files beside it hold the numbers and the pictures. */
import { z } from 'zod';
import { HistogradError } from '../../errors.ts';
import type { DatasetFolder } from '../worker/dataset.ts';

const NAME = 'dataset.json';

const SLIDE = z.object({
  id: z.string(),
  patient: z.string(),
  rows: z.int().min(1),
  mpp: z.number().positive().nullable(),
  /** `features`, `x` and `y`. */
  file: z.string(),
  shape: z.enum(['square', 'circle']),
  size: z.number().positive(),
  /** The files of the picture, as they were dropped; several for a DICOM series. */
  picture: z
    .object({
      width: z.int().min(1),
      height: z.int().min(1),
      files: z.array(z.object({ stored: z.string(), name: z.string() })).min(1),
    })
    .nullable(),
});

const STORED = z.object({
  format: z.literal(1),
  title: z.string(),
  kind: z.enum(['slides', 'spots', 'unlabelled']),
  simulated: z.boolean(),
  slides: z.array(SLIDE).min(1),
  genes: z.array(z.string()),
  /** File of the expression; null without. */
  targets: z.string().nullable(),
  transform: z.enum(['log2', 'log10', 'none']),
  unit: z.string(),
  features: z.object({ name: z.string(), width: z.int().min(1) }),
  settings: z.record(z.string(), z.unknown()).nullable(),
  notes: z.array(z.string()),
});

const SIMULATED = z.object({
  format: z.literal(1),
  cohort: z.object({
    seed: z.int(),
    patients: z.int(),
    slidesPerPatient: z.int(),
    tilesPerSlide: z.tuple([z.int(), z.int()]),
    tileSize: z.int(),
    genes: z.int(),
    noise: z.number(),
  }),
});

const MANIFEST = z.union([SIMULATED, STORED]);

export type StoredSlide = z.infer<typeof SLIDE>;
export type StoredDataset = z.infer<typeof STORED>;
type Manifest = z.infer<typeof MANIFEST>;

/** Written last: a folder that has one is complete. */
export async function writeManifest(folder: DatasetFolder, manifest: Manifest): Promise<void> {
  await folder.write(NAME, new TextEncoder().encode(JSON.stringify(manifest)));
}

/** @throws HistogradError `no-saved-data`, `bad-saved-data` */
export async function readManifest(folder: DatasetFolder): Promise<Manifest> {
  const file = await folder.read(NAME);
  if (!file) {
    throw new HistogradError(
      'no-saved-data',
      'The data of this run are not in the browser’s storage: it was cleared, or saving them was interrupted.',
      'Open the data again from their files.',
    );
  }
  const parsed = MANIFEST.safeParse(parseJson(await file.text()));
  if (parsed.success) return parsed.data;
  throw badSaved(parsed.error.issues[0]?.message ?? 'odd content');
}

export function badSaved(problem: string): HistogradError {
  return new HistogradError(
    'bad-saved-data',
    `The data kept in the browser’s storage cannot be read: ${problem}.`,
    'Delete this run and open the data again from their files.',
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badSaved('its description is not JSON');
  }
}
