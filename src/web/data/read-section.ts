/** Sections of spatial transcriptomics out of dropped files: finding and unpacking them; the parsers are the library's. */
import { encode } from 'fast-png';
import { readH5ad } from '../../data/h5ad.ts';
import { legacyCountsReader } from '../../data/legacy-counts.ts';
import { legacySection, parseAlignment, parseSpotFile } from '../../data/legacy-st.ts';
import { matrixMarketReader } from '../../data/matrix-market.ts';
import { packSection } from '../../data/pack-section.ts';
import type { SpotSection } from '../../data/spots.ts';
import { visiumSection } from '../../data/visium.ts';
import {
  parseBarcodes,
  parseFeatureList,
  parseScaleFactors,
  parseTissuePositions,
  read10xMatrix,
  type VisiumMatrix,
} from '../../data/visium-files.ts';
import { HistogradError } from '../../errors.ts';
import { readText, readUnpacked, unpackedBytes } from './file-bytes.ts';
import type { Sniffed } from './found.ts';
import { useH5FileTables } from './h5-blob.ts';
import type { Matrix, SectionPlan } from './plan-sections.ts';
import type { SlideFiles } from './slide-pool.ts';

/** As in Node (`gzip-text.ts`). */
const MAX_TABLE_BYTES = 64 * 2 ** 20;

export interface ReadSection {
  readonly section: SpotSection;
  /** The image whose pixels the coordinates are. */
  readonly image: SlideFiles;
}

/** Errors: those of the parsers of the format, `no-image`, `bad-gzip`, `too-large`, `not-readable`. */
export async function readSection(plan: SectionPlan): Promise<ReadSection> {
  switch (plan.from) {
    case 'visium':
      return { section: await readVisium(plan), image: pictureOf(plan.image, plan.name) };
    case 'h5ad':
      return readAnndata(plan);
    case 'legacy':
      return { section: await readLegacy(plan), image: pictureOf(plan.image, plan.name) };
    case 'pack':
      return { section: await readPack(plan), image: pictureOf(plan.image, plan.name) };
  }
}

type Planned<From extends SectionPlan['from']> = Extract<SectionPlan, { from: From }>;

async function readVisium(plan: Planned<'visium'>): Promise<SpotSection> {
  const { name, positions, scales, matrix, space } = plan;
  const [path, counts] = await readMatrix(matrix);
  return visiumSection(
    name,
    {
      matrix: counts,
      positions: parseTissuePositions(await readText(positions, MAX_TABLE_BYTES), positions.path),
      scales: parseScaleFactors(await readText(scales, MAX_TABLE_BYTES), scales.path),
      pixelSpace: space,
    },
    { matrix: path, positions: positions.path },
  );
}

async function readMatrix(matrix: Matrix): Promise<[path: string, VisiumMatrix]> {
  if ('h5' in matrix) {
    const { h5 } = matrix;
    return [h5.path, await useH5FileTables(h5, (tables) => read10xMatrix(tables, h5.path))];
  }
  const { mtx } = matrix;
  const barcodes = parseBarcodes(await readText(matrix.barcodes), matrix.barcodes.path);
  const features = parseFeatureList(await readText(matrix.features), matrix.features.path);
  const shape = { genes: features.ids.length, spots: barcodes.length };
  const reader = matrixMarketReader(mtx.path, shape);
  for await (const bytes of unpackedBytes(mtx)) reader.push(bytes);
  return [mtx.path, { barcodes, features, counts: reader.finish() }];
}

async function readLegacy(plan: Planned<'legacy'>): Promise<SpotSection> {
  const { name, counts, placement } = plan;
  const reader = legacyCountsReader(counts.path);
  for await (const bytes of unpackedBytes(counts)) reader.push(bytes);
  const text = await readText(placement, MAX_TABLE_BYTES);
  const where =
    placement.is === 'alignment'
      ? { alignment: parseAlignment(text, placement.path) }
      : { positions: parseSpotFile(text, placement.path) };
  const files = { counts: counts.path, positions: placement.path };
  return legacySection(name, reader.finish(), where, files);
}

async function readPack(plan: Planned<'pack'>): Promise<SpotSection> {
  const table = async (file: Sniffed) => ({
    name: file.path,
    text: await readText(file, MAX_TABLE_BYTES),
  });
  const tables = {
    sections: await table(plan.sections),
    genes: await table(plan.genes),
    spots: await table(plan.spots),
  };
  const pack = packSection(tables, plan.name);
  return pack.read(await readUnpacked(plan.counts, pack.countsBytes), plan.counts.path);
}

/** Its own reduced image where no full-resolution one was dropped. */
async function readAnndata({ name, file, image }: Planned<'h5ad'>): Promise<ReadSection> {
  const read = (pixelSpace: 'fullres' | 'hires' | 'lowres') =>
    useH5FileTables(file, (tables) => readH5ad(tables, file.path, { pixelSpace, name }));
  if (image) return { section: await read('fullres'), image: pictureOf(image, name) };
  const stored = await useH5FileTables(file, (tables) => {
    const [library] = tables.keys('uns/spatial') ?? [];
    const images = tables.keys(`uns/spatial/${library}/images`) ?? [];
    return (['hires', 'lowres'] as const).find((space) => images.includes(space));
  });
  if (!stored) throw noImage(name);
  const section = await read(stored);
  if (!section.image) throw noImage(name);
  const { image: pixels, ...rest } = section;
  // Kept small: it is shown, and saved beside the run.
  const png = new Uint8Array(encode({ ...pixels, channels: 3, depth: 8 }));
  const source = { files: [{ file: new Blob([png]), name: `${name}, ${stored} image` }] };
  return { section: rest, image: source };
}

function pictureOf(image: Sniffed<'picture'> | null, name: string): SlideFiles {
  if (!image) throw noImage(name);
  return { files: [{ file: image.file, name: image.path }] };
}

function noImage(name: string): HistogradError {
  return new HistogradError(
    'no-image',
    `Section ${name} has no image: the .h5ad file holds none, and none was dropped that is called like it.`,
    'Drop the full-resolution image of the section along, named like the .h5ad file.',
  );
}
