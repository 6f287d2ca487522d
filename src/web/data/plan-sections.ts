/** Which dropped files make which section of spatial transcriptomics. */
import { parseStSections } from '../../data/st-sections.ts';
import { HistogradError } from '../../errors.ts';
import { baseName, folderOf, readText, stem } from './file-bytes.ts';
import { ofKind, type Sniffed } from './found.ts';

export type Matrix =
  | { readonly h5: Sniffed<'matrix-10x'> }
  | {
      readonly mtx: Sniffed<'mtx'>;
      readonly barcodes: Sniffed<'barcodes'>;
      readonly features: Sniffed<'feature-list'>;
    };

interface Common {
  readonly name: string;
  /** Null where the section's own file may hold one. */
  readonly image: Sniffed<'picture'> | null;
}

export type SectionPlan =
  | (Common & {
      readonly from: 'visium';
      readonly positions: Sniffed<'positions'>;
      readonly scales: Sniffed<'scales'>;
      readonly matrix: Matrix;
      readonly space: 'fullres' | 'hires' | 'lowres';
    })
  | (Common & { readonly from: 'h5ad'; readonly file: Sniffed<'h5ad'> })
  | (Common & {
      readonly from: 'legacy';
      readonly counts: Sniffed<'legacy-counts'>;
      readonly placement: Sniffed<'spot-file'> | Sniffed<'alignment'>;
    })
  | (Common & {
      readonly from: 'pack';
      readonly patient: string;
      readonly sections: Sniffed<'pack-sections'>;
      readonly genes: Sniffed<'pack-genes'>;
      readonly spots: Sniffed<'pack-spots'>;
      readonly counts: Sniffed<'pack-counts'>;
    });

export interface SectionsPlan {
  readonly sections: readonly SectionPlan[];
  /** What keeps a section from being read: what is missing, or there twice. */
  readonly problems: readonly string[];
}

/** Throws `bad-pack`, `not-readable`. */
export async function planSections(files: readonly Sniffed[]): Promise<SectionsPlan> {
  const problems: string[] = [];
  const sections = [
    ...visium(files, problems),
    ...h5ad(files),
    ...legacy(files, problems),
    ...(await packs(files, problems)),
  ];
  const names = new Set<string>();
  const unique = sections.map((section): SectionPlan => {
    let { name } = section;
    for (let i = 2; names.has(name); i++) name = `${section.name} (${i})`;
    names.add(name);
    return { ...section, name };
  });
  return { sections: unique, problems };
}

/** All files of a section, to say which are used. */
export function filesOf(section: SectionPlan): Sniffed[] {
  const image = section.image ? [section.image] : [];
  switch (section.from) {
    case 'visium': {
      const { positions, scales, matrix } = section;
      const counts = 'h5' in matrix ? [matrix.h5] : [matrix.mtx, matrix.barcodes, matrix.features];
      return [positions, scales, ...counts, ...image];
    }
    case 'h5ad':
      return [section.file, ...image];
    case 'legacy':
      return [section.counts, section.placement, ...image];
    case 'pack':
      return [section.sections, section.genes, section.spots, section.counts, ...image];
  }
}

const REDUCED = /(^|_)tissue_(hires|lowres)_image\.(png|jpe?g)$/i;
const DRAWN =
  /(^|_)(aligned_fiducials|detected_tissue_image|aligned_tissue_image|cytassist_image)\b/i;

function* visium(files: readonly Sniffed[], problems: string[]): Generator<SectionPlan> {
  const places = onePerPlace(ofKind(files, 'positions'));
  const alone = places.length === 1;
  for (const positions of places) {
    const folder = folderOf(positions.path);
    const root = baseName(folder) === 'spatial' ? folderOf(folder) : folder;
    const prefix = /^(.*?)_?tissue_positions/.exec(baseName(positions.path))?.[1] ?? '';
    const below = files.filter(
      ({ path }) => isBelow(path, root) && (prefix === '' || baseName(path).startsWith(prefix)),
    );
    const name = prefix || sectionName(root);
    const what = `section ${name}`;
    const scales = only(ofKind(below, 'scales'), what, 'scalefactors_json.json', problems);
    const matrix = findMatrix(below, what, problems);
    if (!scales || !matrix) continue;
    const pictures = ofKind(below, 'picture');
    const full = fullPictures(files, pictures, { root, spatial: folder, alone });
    const reduced = (kind: string) =>
      pictures.find(({ path }) => REDUCED.exec(baseName(path))?.[2]?.toLowerCase() === kind);
    if (full.length > 1) {
      problems.push(`${what} has several images: ${list(full)}; keep the full-resolution one`);
      continue;
    }
    const [image, space] = full[0]
      ? ([full[0], 'fullres'] as const)
      : reduced('hires')
        ? ([reduced('hires'), 'hires'] as const)
        : ([reduced('lowres'), 'lowres'] as const);
    if (!image) {
      problems.push(
        `${what} has no image: add the slide, or tissue_hires_image.png of the folder spatial`,
      );
      continue;
    }
    yield { from: 'visium', name, positions, scales, matrix, image, space };
  }
}

/** The microscope's image: beside the folder `spatial`; of a single section also a TIFF from anywhere else. */
function fullPictures(
  files: readonly Sniffed[],
  own: readonly Sniffed<'picture'>[],
  { root, spatial, alone }: { root: string; spatial: string; alone: boolean },
): readonly Sniffed<'picture'>[] {
  const beside = own.filter(
    ({ path }) =>
      folderOf(path) === root && !REDUCED.test(baseName(path)) && !DRAWN.test(baseName(path)),
  );
  if (beside.length > 0 || !alone) return beside;
  return ofKind(files, 'picture').filter(
    ({ path, format }) => format === 'tiff' && folderOf(path) !== spatial,
  );
}

/** Of Space Ranger 1's and 2's names in one folder, which say the same, the one with a header. */
function onePerPlace(positions: readonly Sniffed<'positions'>[]): Sniffed<'positions'>[] {
  const keyOf = ({ path }: Sniffed) => path.replace(/tissue_positions(_list)?\.csv(\.gz)?$/i, '');
  const best = new Map<string, Sniffed<'positions'>>();
  for (const file of positions) {
    if (!best.has(keyOf(file)) || !/_list\.csv/i.test(file.path)) best.set(keyOf(file), file);
  }
  return [...best.values()];
}

function findMatrix(
  files: readonly Sniffed[],
  what: string,
  problems: string[],
): Matrix | undefined {
  const filtered = <T extends Sniffed>(found: readonly T[]): readonly T[] => {
    const best = found.filter(({ path }) => /filtered/i.test(path));
    return best.length > 0 ? best : found;
  };
  const h5s = filtered(ofKind(files, 'matrix-10x'));
  if (h5s.length > 0) {
    const h5 = only(h5s, what, 'count matrix', problems);
    return h5 && { h5 };
  }
  const mtx = only(
    filtered(ofKind(files, 'mtx')),
    what,
    'filtered_feature_bc_matrix.h5 or folder of matrix.mtx, barcodes.tsv and features.tsv',
    problems,
  );
  if (!mtx) return undefined;
  const beside = files.filter(({ path }) => folderOf(path) === folderOf(mtx.path));
  const barcodes = only(ofKind(beside, 'barcodes'), what, 'barcodes.tsv', problems);
  const features = only(ofKind(beside, 'feature-list'), what, 'features.tsv', problems);
  return barcodes && features && { mtx, barcodes, features };
}

function* h5ad(files: readonly Sniffed[]): Generator<SectionPlan> {
  const sections = ofKind(files, 'h5ad');
  const pictures = ofKind(files, 'picture');
  for (const file of sections) {
    const name = stem(file.path);
    const own = pictures.find(({ path }) => stem(path) === name);
    const image = own ?? (sections.length === 1 && pictures.length === 1 ? pictures[0] : undefined);
    yield { from: 'h5ad', name, file, image: image ?? null };
  }
}

function* legacy(files: readonly Sniffed[], problems: string[]): Generator<SectionPlan> {
  const tables = ofKind(files, 'legacy-counts');
  const placements = [...ofKind(files, 'spot-file'), ...ofKind(files, 'alignment')];
  const pictures = ofKind(files, 'picture');
  for (const counts of tables) {
    const name = stem(counts.path);
    const own = <T extends Sniffed>(among: readonly T[]): T | undefined => {
      const named = among.filter(({ path }) => belongsTo(path, name));
      if (named.length > 1) {
        problems.push(`section ${name} has several files of one kind: ${list(named)}; keep one`);
        return undefined;
      }
      return named[0] ?? (tables.length === 1 && among.length === 1 ? among[0] : undefined);
    };
    const placement = own(placements);
    const image = own(pictures);
    if (!placement) {
      problems.push(
        `section ${name} has counts (${counts.path}) but no spot file (columns x, y, pixel_x, pixel_y)`,
      );
    } else if (!image) {
      problems.push(`section ${name} has no image whose name begins with ${name}`);
    } else yield { from: 'legacy', name, counts, placement, image };
  }
}

/** A1_selection.tsv and A1/HE.jpg belong to A1; A10.jpg does not. */
function belongsTo(path: string, section: string): boolean {
  if (folderOf(path).split('/').includes(section)) return true;
  const name = baseName(path);
  return name.startsWith(section) && !/^[A-Za-z0-9]/.test(name.slice(section.length));
}

async function packs(files: readonly Sniffed[], problems: string[]): Promise<SectionPlan[]> {
  const plans: SectionPlan[] = [];
  for (const sections of ofKind(files, 'pack-sections')) {
    const folder = folderOf(sections.path);
    const beside = files.filter(({ path }) => folderOf(path) === folder);
    const genes = only(ofKind(beside, 'pack-genes'), sections.path, 'genes.json', problems);
    const spots = only(ofKind(beside, 'pack-spots'), sections.path, 'spots.csv', problems);
    if (!genes || !spots) continue;
    const text = await readText(sections);
    const images = imagesOf(text);
    for (const { id, patient } of parseStSections(text, sections.path)) {
      const inPack = (path: string) => (folder === '' ? path : `${folder}/${path}`);
      const counts = ofKind(files, 'pack-counts').find(
        ({ path }) => path === inPack(`counts/${id}.u16.gz`),
      );
      const wanted = images.get(id);
      const image = ofKind(files, 'picture').find(
        ({ path }) => wanted !== undefined && path === inPack(wanted),
      );
      if (counts && image) {
        const common = { name: id, patient, image };
        plans.push({ from: 'pack', ...common, sections, genes, spots, counts });
      } else problems.push(`section ${id} of the pack has no ${counts ? 'image' : 'counts'}`);
    }
  }
  return plans;
}

/** The images that `sections.json` names; what else stands there, `parseStSections` checks. */
function imagesOf(text: string): Map<string, string> {
  const value: unknown = JSON.parse(text);
  const sections: unknown =
    typeof value === 'object' && value !== null && 'sections' in value ? value.sections : [];
  const images = new Map<string, string>();
  for (const section of Array.isArray(sections) ? sections : []) {
    const known: unknown = section;
    if (typeof known !== 'object' || known === null || !('id' in known && 'image' in known))
      continue;
    if (typeof known.image === 'string') images.set(String(known.id), known.image);
  }
  return images;
}

function only<T extends Sniffed>(
  found: readonly T[],
  what: string,
  wanted: string,
  problems: string[],
): T | undefined {
  if (found.length === 1) return found[0];
  problems.push(
    found.length === 0
      ? `${what} has no ${wanted}`
      : `${what} has several files for its ${wanted}: ${list(found)}; keep one`,
  );
  return undefined;
}

function isBelow(path: string, folder: string): boolean {
  return folder === '' || path.startsWith(`${folder}/`);
}

/** Space Ranger's results lie in a folder `outs` of the section's. */
function sectionName(root: string): string {
  const name = baseName(root);
  return (name === 'outs' ? baseName(folderOf(root)) : name) || 'section';
}

function list(files: readonly Sniffed[]): string {
  const names = files.map(({ path }) => path);
  return names.slice(0, 3).join(', ') + (names.length > 3 ? ', …' : '');
}

/** @throws HistogradError `incomplete-section` when the sections cannot be read as they are */
export function requireSections({ sections, problems }: SectionsPlan): void {
  if (sections.length > 0) return;
  throw new HistogradError(
    'incomplete-section',
    `No section is complete: ${problems.slice(0, 4).join('; ') || 'there are spots without counts or counts without spots'}.`,
    'Drop a whole Visium folder, an .h5ad file with its image, or counts, spot file and image of each section.',
  );
}
