/** Data sets in the browser's storage: written beside a run, read after a reload. */
import './no-eval.ts';
import { parseSafetensors, type Safetensor, serializeSafetensors } from '../../data/safetensors.ts';
import type { Dataset, DatasetFolder } from '../worker/dataset.ts';
import { assemble, type DatasetParts, type SlidePart } from './assemble.ts';
import { keepingReader } from './feature-files.ts';
import { picturePart } from './file-picture.ts';
import {
  badSaved,
  readManifest,
  type StoredDataset,
  type StoredSlide,
  writeManifest,
} from './saved-files.ts';
import { openSimulated } from './simulated.ts';
import { SlidePool } from './slide-pool.ts';

const TARGETS = 'expression.safetensors';

/** Writes features, places and pictures slide by slide, the expression, and last what there is. Errors of the folder. */
export async function saveParts(parts: DatasetParts, folder: DatasetFolder): Promise<void> {
  const slides: StoredSlide[] = [];
  for (const [i, slide] of parts.slides.entries()) slides.push(await saveSlide(slide, i, folder));
  const { targets, genes } = parts;
  if (targets) {
    const shape = [targets.length / genes.length, genes.length];
    await folder.write(TARGETS, serializeSafetensors({ expression: { shape, data: targets } }));
  }
  const { title, kind, simulated, transform, unit, features, settings, notes } = parts;
  await writeManifest(folder, {
    format: 1,
    title,
    kind,
    simulated,
    slides,
    genes: [...genes],
    targets: targets ? TARGETS : null,
    transform,
    unit,
    features,
    settings: settings ? { ...settings } : null,
    notes: [...notes],
  });
}

async function saveSlide(
  slide: SlidePart,
  index: number,
  folder: DatasetFolder,
): Promise<StoredSlide> {
  const { id, patient, rows, mpp, picture } = slide;
  const { features, width } = await slide.features();
  const { x, y, shape, size, names } = await slide.places();
  const file = `slide-${index}.safetensors`;
  const bytes = serializeSafetensors(
    {
      features: { shape: [rows, width], data: features },
      x: { shape: [rows], data: x },
      y: { shape: [rows], data: y },
    },
    { names: JSON.stringify(names) },
  );
  await folder.write(file, bytes);
  const files: { stored: string; name: string }[] = [];
  for (const [part, source] of (picture?.source?.files ?? []).entries()) {
    const stored = `picture-${index}-${part}`;
    await folder.write(stored, source.file);
    files.push({ stored, name: source.name });
  }
  const kept =
    picture && files.length > 0 ? { width: picture.width, height: picture.height, files } : null;
  return { id, patient, rows, mpp, file, shape, size, picture: kept };
}

/** Errors: `no-saved-data`, `bad-saved-data`, `bad-safetensors`. */
export async function openSaved(folder: DatasetFolder): Promise<Dataset> {
  const manifest = await readManifest(folder);
  if ('cohort' in manifest) return openSimulated(manifest.cohort);
  const { targets, settings, ...rest } = manifest;
  const pool = new SlidePool();
  const keep = keepingReader();
  const slides: SlidePart[] = [];
  for (const slide of manifest.slides) slides.push(await openSlidePart(slide, folder, pool, keep));
  return assemble({
    ...rest,
    slides,
    targets: targets === null ? null : await readTargets(folder, targets, manifest),
    settings: settings ?? undefined,
  });
}

async function openSlidePart(
  stored: StoredSlide,
  folder: DatasetFolder,
  pool: SlidePool,
  keep: ReturnType<typeof keepingReader>,
): Promise<SlidePart> {
  const { id, patient, rows, mpp, shape, size, picture } = stored;
  const read = async () => parseSafetensors(await readStored(folder, stored.file), stored.file);
  const features = keep(async () => {
    const { tensors } = await read();
    const { data, width } = matrix(tensors.get('features'), stored.file);
    return { features: data, rows, width };
  });
  const files = await Promise.all(
    (picture?.files ?? []).map(async (source) => ({
      name: source.name,
      file: await storedFile(folder, source.stored),
    })),
  );
  return {
    id,
    patient,
    rows,
    mpp,
    features,
    async places() {
      const { tensors, metadata } = await read();
      const names: unknown = JSON.parse(metadata.names ?? '[]');
      return {
        shape,
        size,
        x: list(tensors.get('x'), rows, stored.file),
        y: list(tensors.get('y'), rows, stored.file),
        names: Array.isArray(names) ? names.map(String) : [],
      };
    },
    picture: picture && picturePart(pool, { files }, picture),
  };
}

async function readTargets(
  folder: DatasetFolder,
  file: string,
  { genes }: StoredDataset,
): Promise<Float32Array> {
  const { tensors } = parseSafetensors(await readStored(folder, file), file);
  const { data, width } = matrix(tensors.get('expression'), file);
  if (width !== genes.length) throw badSaved(`${file} has ${width} genes, not ${genes.length}`);
  return data;
}

function matrix(
  tensor: Safetensor | undefined,
  file: string,
): { data: Float32Array<ArrayBuffer>; width: number } {
  const [, width] = tensor?.shape ?? [];
  if (tensor?.data instanceof Float32Array && width !== undefined) {
    return { data: new Float32Array(tensor.data), width };
  }
  throw badSaved(`${file} does not hold what it should`);
}

function list(tensor: Safetensor | undefined, length: number, file: string): Float32Array {
  if (tensor?.data instanceof Float32Array && tensor.data.length === length) return tensor.data;
  throw badSaved(`${file} does not hold ${length} places`);
}

async function readStored(folder: DatasetFolder, name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await storedFile(folder, name)).arrayBuffer());
}

async function storedFile(folder: DatasetFolder, name: string): Promise<File> {
  const file = await folder.read(name);
  if (file) return file;
  throw badSaved(`${name} is missing`);
}
