/** Which slide a DICOM file belongs to: its resolutions, its label and its overview are files of one series. */
import type { ByteSource } from './byte-source.ts';
import { parseDataset, textOf, valuesOf } from './dicom-dataset.ts';
import { walkDicom } from './dicom-elements.ts';

export interface DicomSeries {
  /** SeriesInstanceUID; empty where the file has none. */
  readonly series: string;
  /** False for labels, overviews and thumbnails. */
  readonly tissue: boolean;
  /** ContainerIdentifier, what is written on the glass; empty where the file has none. */
  readonly container: string;
}

const IMAGE_TYPE = 0x00080008;
const SERIES = 0x0020000e;
const CONTAINER = 0x00400512;
const NOT_TISSUE = ['LABEL', 'OVERVIEW', 'LOCALIZER', 'THUMBNAIL'];

/** Reads a few kilobytes. Errors as the reader of slides. */
export async function readDicomSeries(source: ByteSource): Promise<DicomSeries> {
  const wanted = (tag: number) => tag === IMAGE_TYPE || tag === SERIES || tag === CONTAINER;
  const { header } = await walkDicom(source, wanted, CONTAINER);
  const data = await parseDataset(source.name, header);
  return {
    series: textOf(data, '0020000E') ?? '',
    tissue: showsTissue(valuesOf(data, '00080008').map(String)),
    container: textOf(data, '00400512') ?? '',
  };
}

export function showsTissue(imageType: readonly string[]): boolean {
  return !imageType.some((value) => NOT_TISSUE.includes(value));
}
