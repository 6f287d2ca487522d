/** The slides in files and folders. All files of a DICOM series are one slide. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { readError } from '../../data/node/read-file.ts';
import { HistogradError } from '../../errors.ts';
import { formatCount } from '../../report/format.ts';
import { type DicomSeries, readDicomSeries } from '../../slides/dicom-series.ts';
import { fileSource } from '../../slides/node/file-source.ts';
import type { SlidePath } from '../../slides/node/open-slide.ts';

const DICOM_ENDINGS = ['.dcm', '.dicom'];
const SLIDE_ENDINGS = ['.svs', '.tif', '.tiff', ...DICOM_ENDINGS, '.jpg', '.jpeg', '.png'];

export interface FoundSlide {
  /** What its output is called: the file's name without its ending; for several DICOM files see `seriesNames`. */
  readonly id: string;
  /** For people, and to tell it from another slide of the same id. */
  readonly name: string;
  readonly path: SlidePath;
  readonly bytes: number;
}

/**
 * Slides among `paths`, of which folders are searched with their subfolders (hidden ones left out), in the order given, then by name.
 *
 * @param warn told of series that hold no more than labels and overviews, which are left out
 * @throws HistogradError `no-file`, `no-slides`, `duplicate-slide` (two of one id)
 */
export async function findSlides(
  paths: readonly string[],
  warn: (text: string) => void,
): Promise<FoundSlide[]> {
  const given = new Set(paths);
  const files = new Map<string, string>();
  for (const path of paths) {
    for (const file of await slideFiles(path)) {
      if (!files.has(resolve(file))) files.set(resolve(file), file);
    }
  }
  const groups = await slideGroups([...files.values()]);
  const kept = groups.filter(({ tissue, paths: [first = ''] }) => {
    const keep = tissue || given.has(first);
    if (!keep) warn(`${first} is left out: its DICOM series is a label or an overview`);
    return keep;
  });
  if (kept.length === 0) {
    throw new HistogradError(
      'no-slides',
      `No slides in ${paths.join(', ')}: expected files ending in ${SLIDE_ENDINGS.join(', ')}.`,
      'Give slides, or folders of slides.',
    );
  }
  const names = seriesNames(kept);
  const slides = new Map<string, FoundSlide>();
  for (const group of kept) {
    const [first = ''] = group.paths;
    const id = names.get(group) ?? withoutEnding(first);
    const other = slides.get(id);
    if (other !== undefined) {
      throw new HistogradError(
        'duplicate-slide',
        `${firstOf(other.path)} and ${first} would both become ${id}.`,
        'Rename one of them, or extract them into different folders.',
      );
    }
    let bytes = 0;
    for (const path of group.paths) bytes += (await stat(path)).size;
    const several = group.paths.length > 1;
    const name = several ? `${id} (${formatCount(group.paths.length, 'file')})` : basename(first);
    slides.set(id, { id, name, path: several ? group.paths : first, bytes });
  }
  return [...slides.values()];
}

async function slideFiles(path: string): Promise<string[]> {
  const info = await stat(path).catch(() => null);
  if (!info) {
    throw new HistogradError(
      'no-file',
      `${path} does not exist.`,
      'Give slides, or folders of slides.',
    );
  }
  if (!info.isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch((cause) => {
    throw readError(path, cause);
  });
  const found: string[] = [];
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name);
    const hidden = relative(path, file)
      .split(sep)
      .some((part) => part.startsWith('.'));
    if (hidden || !SLIDE_ENDINGS.includes(extname(entry.name).toLowerCase())) continue;
    // A link may lead anywhere; one to a folder is not followed, so that there are no loops.
    const link = entry.isSymbolicLink();
    if (entry.isFile() || (link && (await stat(file).catch(() => null))?.isFile()))
      found.push(file);
  }
  return found.sort();
}

/** The files of one slide. */
interface SlideGroup {
  readonly paths: string[];
  tissue: boolean;
  /** Of a DICOM series, from the first file that has one. */
  container: string;
}

async function slideGroups(files: readonly string[]): Promise<SlideGroup[]> {
  const groups: SlideGroup[] = [];
  const bySeries = new Map<string, SlideGroup>();
  for (const file of files) {
    const dicom = await seriesOf(file);
    const known = dicom && bySeries.get(dicom.series);
    if (known) {
      known.paths.push(file);
      known.tissue ||= dicom.tissue;
      known.container ||= dicom.container;
      continue;
    }
    const group = {
      paths: [file],
      tissue: dicom?.tissue ?? true,
      container: dicom?.container ?? '',
    };
    groups.push(group);
    if (dicom) bySeries.set(dicom.series, group);
  }
  return groups;
}

/** Null for other files, and for damaged ones: they are slides of their own, and the reader says what is wrong when it comes to them. */
async function seriesOf(file: string): Promise<DicomSeries | null> {
  if (!DICOM_ENDINGS.includes(extname(file).toLowerCase())) return null;
  const source = await fileSource(file).catch(() => null);
  if (!source) return null;
  try {
    const found = await readDicomSeries(source);
    return found.series === '' ? null : found;
  } catch {
    return null;
  } finally {
    await source.close();
  }
}

/**
 * Names of the slides of several files, the first of these that no other slide has and that is not a DICOM identifier: their folder, if it
 * holds no other slide; what their file names have in common; what is written on the glass (ContainerIdentifier).
 */
function seriesNames(groups: readonly SlideGroup[]): Map<SlideGroup, string> {
  const several = groups.filter(({ paths }) => paths.length > 1);
  const byFolder = slidesByFolder(groups);
  const rules = [
    (group: SlideGroup) => ownFolder(group, byFolder),
    ({ paths }: SlideGroup) => commonStart(paths.map(withoutEnding)),
    ({ container }: SlideGroup) => fileNameOf(container),
  ];
  const names = new Map<SlideGroup, string>();
  for (const rule of rules) {
    const candidates = new Map(several.map((group) => [group, rule(group)]));
    const all = [...candidates.values(), ...names.values()];
    for (const [group, name] of candidates) {
      const taken = all.filter((other) => other === name).length > 1;
      if (!names.has(group) && name !== '' && !IDENTIFIER.test(name) && !taken) {
        names.set(group, name);
      }
    }
  }
  return names;
}

/** A DICOM identifier is no name for people. */
const IDENTIFIER = /\d(\.\d+){4}/;

/** The slides with files in a folder or below it, for every folder that has some. */
function slidesByFolder(groups: readonly SlideGroup[]): Map<string, Set<SlideGroup>> {
  const slides = new Map<string, Set<SlideGroup>>();
  for (const group of groups) {
    for (const path of group.paths) {
      for (let at = resolve(path); dirname(at) !== at; at = dirname(at)) {
        const folder = dirname(at);
        const known = slides.get(folder) ?? new Set();
        // Those above have it as well.
        if (known.has(group)) break;
        slides.set(folder, known.add(group));
      }
    }
  }
  return slides;
}

/** The name of the folder that holds all files of a slide, and none of another. */
function ownFolder({ paths }: SlideGroup, slides: Map<string, Set<SlideGroup>>): string {
  const folders = paths.map((path) => dirname(resolve(path)));
  let folder = folders[0] ?? '';
  const below = (path: string) => path === folder || path.startsWith(join(folder, sep));
  while (!folders.every(below)) folder = dirname(folder);
  return slides.get(folder)?.size === 1 ? basename(folder) : '';
}

/** The beginning that all names share, up to a separator: `S1` of `S1_level0` and `S1_label`. */
function commonStart(names: readonly string[]): string {
  const start = names.reduce((a, b) => {
    let i = 0;
    while (i < a.length && a[i] === b[i]) i++;
    return a.slice(0, i);
  });
  const whole = names.every(
    (name) => name.length === start.length || /[ _.-]/.test(name[start.length]!),
  );
  return (whole ? start : start.replace(/[^ _.-]*$/, '')).replace(/[ _.-]+$/, '');
}

/** Text of a file as a file's name: no separators, nothing hidden, not too long. */
function fileNameOf(text: string): string {
  return text
    .trim()
    .replace(/[^\p{L}\p{N}._-]+/gu, '_')
    .replace(/^\.+/, '')
    .slice(0, 100);
}

function withoutEnding(path: string): string {
  return basename(path, extname(path));
}

function firstOf(path: SlidePath): string {
  return typeof path === 'string' ? path : (path[0] ?? '');
}
