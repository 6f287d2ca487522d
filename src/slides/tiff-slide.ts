/** Slides in TIFF: Aperio SVS, OME-TIFF, tiled pyramids and plain pictures. */
import type { ByteSource } from './byte-source.ts';
import type { RgbImage, Slide, SlideFormat, SlideLevel } from './slide.ts';
import { unsupportedSlide } from './slide-errors.ts';
import {
  aperioField,
  omeImages,
  plausibleMpp,
  plausiblePower,
  resolutionMpp,
} from './slide-scale.ts';
import { readTiffPages, type TiffPage } from './tiff-pages.ts';
import { checkPage, readTiffTile } from './tiff-tile.ts';
import { TileCache } from './tile-cache.ts';
import { checkLevel, readGrid } from './tile-grid.ts';

interface Pyramid {
  readonly format: SlideFormat;
  /** Largest first. */
  readonly pages: readonly TiffPage[];
  readonly mpp: number | null;
  readonly objectivePower: number | null;
}

/** Pictures that scanners keep beside the tissue; the label shows the patient. */
const ASSOCIATED = /\b(label|macro|thumbnail|overview)\b/i;
/** A level this near the one before holds the same pixels. */
const SMALLEST_STEP = 1.1;

/** @param cacheBytes bytes of decoded tiles to keep */
export async function openTiffSlide(source: ByteSource, cacheBytes: number): Promise<Slide> {
  const { format, pages, mpp, objectivePower } = choosePyramid(
    await readTiffPages(source),
    source.name,
  );
  const base = pages[0]!;
  for (const page of pages) checkPage(page, source.name);
  const levels: SlideLevel[] = pages.map(({ width, height }) => ({
    width,
    height,
    downsample: (base.width / width + base.height / height) / 2,
  }));
  const cache = new TileCache(cacheBytes);
  const grids = pages.map((page, level) => ({
    ...page,
    tile: (column: number, row: number) =>
      cache.get(`${level}/${column}/${row}`, () => readTiffTile(source, page, column, row)),
  }));
  return {
    name: source.name,
    format,
    levels,
    mpp,
    objectivePower,
    async readRegion(level, x, y, width, height): Promise<RgbImage> {
      checkLevel(source.name, level, levels.length);
      return readGrid(grids[level]!, x, y, width, height);
    },
    close() {
      cache.clear();
      return source.close();
    },
  };
}

function choosePyramid(pages: readonly TiffPage[], name: string): Pyramid {
  const first = pages[0]!;
  if (/^\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)?<(?:[\w.-]+:)?OME\b/.test(first.description)) {
    return omePyramid(pages, first.description, name);
  }
  const aperio = first.description.startsWith('Aperio');
  const tiled = pages.filter((page) => page.tiled && !isAssociated(page, aperio));
  const base = tiled.reduce<TiffPage | undefined>(
    (best, page) => (best && area(best) >= area(page) ? best : page),
    undefined,
  );
  if (base) {
    const levels = withReductions(base, base.parts.length > 0 ? [...tiled, ...base.parts] : tiled);
    if (!aperio) {
      return { format: 'tiff', pages: levels, mpp: resolutionMpp(base), objectivePower: null };
    }
    return {
      format: 'aperio-svs',
      pages: levels,
      mpp: plausibleMpp(aperioField(base.description, 'MPP')),
      objectivePower: plausiblePower(aperioField(base.description, 'AppMag')),
    };
  }
  const picture = pages.find((page) => !isAssociated(page, false));
  if (!picture || aperio) {
    throw unsupportedSlide(
      name,
      'none of its pages shows tissue: they are labels, overviews or thumbnails',
    );
  }
  return { format: 'tiff', pages: [picture], mpp: resolutionMpp(picture), objectivePower: null };
}

function omePyramid(pages: readonly TiffPage[], xml: string, name: string): Pyramid {
  const images = omeImages(xml)
    .filter((image) => !ASSOCIATED.test(image.name))
    .map((image) => ({ image, page: pages[image.page] }));
  let best: { image: (typeof images)[number]['image']; page: TiffPage } | undefined;
  for (const { image, page } of images) {
    if (page && (!best || area(page) > area(best.page))) best = { image, page };
  }
  if (!best) throw unsupportedSlide(name, 'its OME-XML names no image that this file holds');
  const { image, page } = best;
  if (image.channels > 1 && page.samples === 1) {
    throw unsupportedSlide(
      name,
      `it keeps ${image.channels} channels as separate pages; colours are read from RGB pages`,
    );
  }
  // Older writers put the smaller resolutions into pages of their own.
  const reductions =
    page.parts.length > 0
      ? page.parts
      : pages.filter((other) => other.tiled && other.subfileType & 1);
  return {
    format: 'ome-tiff',
    pages: withReductions(page, reductions),
    mpp: image.mpp ?? resolutionMpp(page),
    objectivePower: image.objectivePower,
  };
}

/** `base` and those of `pages` that show the same, smaller: the same shape, and each smaller than the one before. */
function withReductions(base: TiffPage, pages: readonly TiffPage[]): TiffPage[] {
  const levels = [base];
  for (const page of [...pages].sort((a, b) => area(b) - area(a))) {
    const x = base.width / page.width;
    const y = base.height / page.height;
    // Writers round sides up or down.
    const slack = 0.01 + 2 / Math.min(page.width, page.height);
    const step = levels.at(-1)!.width / page.width;
    if (Math.abs(x - y) <= slack * Math.max(x, y) && step >= SMALLEST_STEP) levels.push(page);
  }
  return levels;
}

function isAssociated(page: TiffPage, aperio: boolean): boolean {
  // Aperio marks label (1) and macro (9) so, and never a level.
  return (
    ASSOCIATED.test(aperio ? secondLine(page) : page.description) ||
    (aperio && page.subfileType !== 0)
  );
}

/** Aperio says on the second line what a page is; the fields after it may hold any word. */
function secondLine(page: TiffPage): string {
  return (page.description.split('\n')[1] ?? '').split('|')[0] ?? '';
}

function area(page: TiffPage): number {
  return page.width * page.height;
}
