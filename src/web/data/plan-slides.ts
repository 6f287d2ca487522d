/** Which files make which slide: one each, but for DICOM, where a slide is a series of files. */

import { memorySource } from '../../slides/byte-source.ts';
import { readDicomSeries } from '../../slides/dicom-series.ts';
import { baseName, stem } from './file-bytes.ts';
import type { Sniffed } from './found.ts';

export interface SlidePlan {
  /** The file's without its ending; of a DICOM series what is written on the glass, else its first file's. */
  readonly name: string;
  readonly files: readonly Sniffed<'picture'>[];
}

/** Throws what reading DICOM headers throws. */
export async function planSlides(
  pictures: readonly Sniffed<'picture'>[],
): Promise<readonly SlidePlan[]> {
  const slides: SlidePlan[] = [];
  const series = new Map<string, { name: string; files: Sniffed<'picture'>[]; tissue: boolean }>();
  for (const picture of pictures) {
    if (picture.format !== 'dicom') {
      slides.push({ name: stem(picture.path), files: [picture] });
      continue;
    }
    const header = await readDicomSeries(memorySource(picture.file, baseName(picture.path)));
    const key = header.series || picture.path;
    const known = series.get(key);
    if (known) {
      known.files.push(picture);
      known.tissue ||= header.tissue;
    } else {
      const name = header.container || stem(picture.path);
      series.set(key, { name, files: [picture], tissue: header.tissue });
    }
  }
  // A series of labels only is none.
  for (const { name, files, tissue } of series.values()) if (tissue) slides.push({ name, files });
  const names = new Set<string>();
  return slides.map((slide) => {
    let { name } = slide;
    for (let i = 2; names.has(name); i++) name = `${slide.name} (${i})`;
    names.add(name);
    return { ...slide, name };
  });
}
