/** DICOM whole-slide images: one file, or the files of a series, one a resolution. */
import type { ByteSource } from './byte-source.ts';
import { type DicomFile, readDicomFile } from './dicom-file.ts';
import { runsDownColumns } from './dicom-order.ts';
import { showsTissue } from './dicom-series.ts';
import { decodeJpeg, greyToRgb } from './jpeg.ts';
import { decodeJpeg2000, ycbcrToRgb } from './jpeg2000.ts';
import type { RgbImage, Slide, SlideLevel } from './slide.ts';
import { damagedSlide, unsupportedSlide } from './slide-errors.ts';
import { TileCache } from './tile-cache.ts';
import { checkLevel, readGrid } from './tile-grid.ts';

/** PS3.6, transfer syntaxes. */
const CODECS: Readonly<Record<string, 'native' | 'jpeg' | 'jpeg2000'>> = {
  '1.2.840.10008.1.2': 'native',
  '1.2.840.10008.1.2.1': 'native',
  '1.2.840.10008.1.2.4.50': 'jpeg',
  '1.2.840.10008.1.2.4.51': 'jpeg',
  '1.2.840.10008.1.2.4.90': 'jpeg2000',
  '1.2.840.10008.1.2.4.91': 'jpeg2000',
};
type Place = DicomFile['frameOf'];

const MAX_FRAME_PIXELS = 2 ** 25;

export async function openDicomSlide(
  sources: readonly ByteSource[],
  cacheBytes: number,
): Promise<Slide> {
  const files: DicomFile[] = [];
  for (const source of sources) files.push(await readDicomFile(source));
  const levels = chooseLevels(files);
  const base = levels[0]!;
  const { name } = base.source;
  for (const level of levels) checkFile(level);
  const described: SlideLevel[] = levels.map(({ width, height }) => ({
    width,
    height,
    downsample: (base.width / width + base.height / height) / 2,
  }));
  const cache = new TileCache(cacheBytes);
  const grids = levels.map((file, level) => {
    let place: Promise<Place> | null = null;
    return {
      ...file,
      tile: (column: number, row: number) =>
        cache.get(`${level}/${column}/${row}`, async () => {
          place ??= framePlace(file);
          const frame = (await place)(column, row);
          return frame === undefined ? null : decodeFrame(file, frame);
        }),
    };
  });
  return {
    name,
    format: 'dicom',
    levels: described,
    mpp: base.mpp,
    objectivePower: base.objectivePower,
    async readRegion(level, x, y, width, height): Promise<RgbImage> {
      checkLevel(name, level, described.length);
      return readGrid(grids[level]!, x, y, width, height);
    },
    async close() {
      cache.clear();
      for (const source of sources) await source.close();
    },
  };
}

/** The files that show tissue, largest first. */
function chooseLevels(files: readonly DicomFile[]): DicomFile[] {
  const tissue = files
    .filter(({ imageType }) => showsTissue(imageType))
    .sort((a, b) => b.width * b.height - a.width * a.height);
  const base = tissue[0];
  if (!base) {
    const types = files.map(({ imageType }) => imageType.join('\\')).join(', ');
    throw unsupportedSlide(files[0]!.source.name, `it shows no tissue: its image type is ${types}`);
  }
  for (const [i, file] of tissue.entries()) {
    if (file.series !== base.series) {
      throw unsupportedSlide(
        file.source.name,
        `it belongs to another series than ${base.source.name}; a slide is one series`,
      );
    }
    if (i > 0 && file.width >= tissue[i - 1]!.width) {
      throw unsupportedSlide(
        file.source.name,
        `it has the same size as ${tissue[i - 1]!.source.name}; one file a resolution is read`,
      );
    }
  }
  return tissue;
}

function checkFile({
  source,
  transferSyntax,
  tileWidth,
  tileHeight,
  samples,
  photometric,
}: DicomFile): void {
  if (CODECS[transferSyntax] === undefined) {
    throw unsupportedSlide(
      source.name,
      `it has the transfer syntax ${transferSyntax}; native, JPEG and JPEG 2000 are read`,
    );
  }
  if (tileWidth * tileHeight > MAX_FRAME_PIXELS) {
    throw unsupportedSlide(
      source.name,
      `its frames of ${tileWidth} x ${tileHeight} pixels are too large to decode at once`,
    );
  }
  const known = samples === 1 ? /^MONOCHROME[12]$/ : /^(RGB|YBR_(FULL|FULL_422|ICT|RCT))$/;
  if (!known.test(photometric)) {
    throw unsupportedSlide(
      source.name,
      `it has the photometric interpretation ${photometric} with ${samples} samples`,
    );
  }
}

/** The frame of a tile, in the order that the file says or that its seams tell. */
async function framePlace(file: DicomFile): Promise<Place> {
  const across = Math.ceil(file.width / file.tileWidth);
  const down = Math.ceil(file.height / file.tileHeight);
  const known = file.organization !== null || file.frames !== across * down;
  if (known || !(await runsDownColumns(across, down, (frame) => decodeFrame(file, frame)))) {
    return file.frameOf;
  }
  return (column, row) => column * down + row;
}

async function decodeFrame(file: DicomFile, frame: number): Promise<RgbImage> {
  const { source, tileWidth: width, tileHeight: height, photometric } = file;
  const bytes = await file.readFrame(frame);
  const what = `frame ${frame}`;
  const maxPixels = width * height;
  const codec = CODECS[file.transferSyntax];
  const ycbcr = photometric.startsWith('YBR_FULL');
  const image =
    codec === 'jpeg'
      ? // What the stream says goes before the element, which some writers get wrong.
        await decodeJpeg(bytes, { colour: 'guess', maxPixels }, source.name, what)
      : codec === 'jpeg2000'
        ? await decodeJpeg2000(
            bytes,
            { colour: ycbcr ? 'ycbcr' : 'rgb', maxPixels },
            source.name,
            what,
          )
        : { width, height, data: nativePixels(file, bytes) };
  if (image.width !== width || image.height !== height) {
    throw damagedSlide(
      source.name,
      `${what} is a picture of ${image.width} x ${image.height} pixels, not ${width} x ${height}`,
    );
  }
  if (photometric === 'MONOCHROME1')
    image.data.forEach((value, i, data) => {
      data[i] = 255 - value;
    });
  return image;
}

function nativePixels({ samples, planar, photometric }: DicomFile, bytes: Uint8Array): Uint8Array {
  if (samples === 1) return greyToRgb(bytes);
  const pixels = bytes.length / 3;
  const data =
    planar === 1 ? bytes.map((_, i) => bytes[(i % 3) * pixels + Math.floor(i / 3)]!) : bytes;
  if (photometric.startsWith('YBR_FULL')) ycbcrToRgb(data);
  return data;
}
