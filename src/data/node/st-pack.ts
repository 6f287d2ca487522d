/** Reading a spatial transcriptomics pack from its folder. */
import { constants } from 'node:buffer';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { HistogradError } from '../../errors.ts';
import {
  badPack,
  parseStCounts,
  parseStGenes,
  parseStSections,
  parseStSpots,
  type StGenes,
  type StSection,
  type StSpot,
} from '../st-sections.ts';
import { readBytes, readError, readText } from './read-file.ts';

/** A pack whose crops and sections have been chosen; counts and crops are read section by section. */
export interface StPack {
  readonly source: string;
  /** Name of the crops' folder, `crops<side>`, and that side in pixels. */
  readonly crops: string;
  readonly side: number;
  readonly genes: StGenes;
  /** The sections to use, in the pack's order. */
  readonly sections: readonly (StSection & { readonly spotsInOrder: readonly StSpot[] })[];
}

/**
 * Opens a pack: `sections.json`, `genes.json`, `spots.csv`, and which sections have crops.
 *
 * @param crops the folder of crops; when undefined the largest `crops<side>` that holds `.rgb.gz` files
 * @param wanted ids of sections; when undefined all that have crops
 * @throws HistogradError `no-file`, `bad-pack`, `no-crops`, `unknown-section`
 */
export async function openStPack(
  source: string,
  crops?: string,
  wanted?: readonly string[],
): Promise<StPack> {
  const genesPath = join(source, 'genes.json');
  const sectionsPath = join(source, 'sections.json');
  const spotsPath = join(source, 'spots.csv');
  const listed = parseStSections(await readText(sectionsPath), sectionsPath);
  const genes = parseStGenes(await readText(genesPath), genesPath);
  const spots = parseStSpots(await readText(spotsPath), spotsPath);
  const folder = await chooseCrops(source, crops);
  for (const id of wanted ?? []) {
    const known = listed.some((section) => section.id === id);
    if (known && folder.sections.has(id)) continue;
    const usable = listed.flatMap((section) =>
      folder.sections.has(section.id) ? [section.id] : [],
    );
    throw new HistogradError(
      'unknown-section',
      known
        ? `Section ${id} has no tile crops in ${join(source, folder.name)}.`
        : `${sectionsPath} has no section ${id}.`,
      `Choose among the sections with crops: ${usable.join(', ')}.`,
    );
  }
  const used = listed.filter(({ id }) => folder.sections.has(id) && (wanted?.includes(id) ?? true));
  if (used.length === 0) {
    throw badPack(sectionsPath, `none of its sections has a file in ${folder.name}`);
  }
  const sections = used.map((section) => {
    const spotsInOrder = spots.get(section.id) ?? [];
    if (spotsInOrder.length !== section.spots) {
      throw badPack(
        spotsPath,
        `section ${section.id} has ${spotsInOrder.length} rows, ${section.spots} are announced in sections.json`,
      );
    }
    return { ...section, spotsInOrder };
  });
  return { source, crops: folder.name, side: folder.side, genes, sections };
}

/** Counts of a section: uint16 `[spots][columns of genes.json]`. */
export async function readStCounts(pack: StPack, section: StSection): Promise<Uint16Array> {
  const path = join(pack.source, 'counts', `${section.id}.u16.gz`);
  const columns = pack.genes.geneOfColumn.length;
  const bytes = await readGzip(path, section.spots * columns * 2);
  return parseStCounts(bytes, section.spots, columns, path);
}

/** Tiles of a section: uint8 `[spots][side][side][3]`. */
export async function readStCrops(pack: StPack, section: StSection): Promise<Uint8Array> {
  const { crops, side } = pack;
  const path = join(pack.source, crops, `${section.id}.rgb.gz`);
  const expected = section.spots * side * side * 3;
  const bytes = await readGzip(path, expected);
  if (bytes.length !== expected) {
    throw badPack(
      path,
      `expected ${expected} bytes after decompression (${section.spots} spots x ${side} x ${side} x 3), found ${bytes.length}`,
    );
  }
  return bytes;
}

/** Of a file that unpacks to more than `expected` bytes, one byte more at most is unpacked. */
export async function readGzip(path: string, expected: number): Promise<Uint8Array> {
  const packed = await readBytes(path);
  const limit = { maxOutputLength: Math.min(expected + 1, constants.MAX_LENGTH) };
  return promisify(gunzip)(packed, limit).catch((cause: unknown) => {
    throw badPack(
      path,
      `cannot be decompressed (${cause instanceof Error ? cause.message : cause})`,
    );
  });
}

interface CropsFolder {
  name: string;
  side: number;
  /** Sections with a file. */
  sections: Set<string>;
}

async function chooseCrops(source: string, name?: string): Promise<CropsFolder> {
  const names = name === undefined ? await readFolder(source) : [name];
  const folders: CropsFolder[] = [];
  for (const candidate of names) {
    const side = /^crops(\d+)$/.exec(candidate)?.[1];
    if (side === undefined) continue;
    const files = await readFolder(join(source, candidate));
    const sections = files.flatMap((file) => /^(.+)\.rgb\.gz$/.exec(file)?.[1] ?? []);
    if (sections.length > 0) {
      folders.push({ name: candidate, side: Number(side), sections: new Set(sections) });
    }
  }
  const largest = folders.sort((a, b) => b.side - a.side)[0];
  if (largest) return largest;
  throw new HistogradError(
    'no-crops',
    name === undefined
      ? `${source} has no folder crops<side> with files <section>.rgb.gz.`
      : `${join(source, name)} is no folder of crops: expected a name like crops64 and files <section>.rgb.gz in it.`,
    'Cut one RGB tile per spot first, or name the folder that holds them.',
  );
}

async function readFolder(path: string): Promise<string[]> {
  return readdir(path).catch((cause: unknown) => {
    throw readError(path, cause);
  });
}
