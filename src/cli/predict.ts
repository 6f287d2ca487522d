/** `histograd predict`: expression of new slides; attention and expression of single patches where asked for. */
import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import Papa from 'papaparse';
import { z } from 'zod';
import { selectGenes } from '../data/expression-table.ts';
import { sharedSettings } from '../data/feature-settings.ts';
import type { FeatureOptions } from '../data/features.ts';
import { writeError, writeFileAtomic } from '../data/node/atomic-write.ts';
import { listFeatureFiles } from '../data/node/cohort.ts';
import { type FeatureFile, openFeatures, rowsOf } from '../data/node/feature-file.ts';
import { type FeatureHeader, readFeatureShape } from '../data/node/read-features.ts';
import { readBytes, readText } from '../data/node/read-file.ts';
import { sweepTemporaryFiles } from '../data/node/temporary-files.ts';
import { serializeSafetensors } from '../data/safetensors.ts';
import { HistogradError } from '../errors.ts';
import { Device } from '../gpu/device.ts';
import { formatCount } from '../report/format.ts';
import { PIECE, streamWarning } from '../training/bag-limit.ts';
import { predictBag, predictPatches, predictStreamed, streamLimitOf } from '../training/predict.ts';
import { scaled } from '../training/streaming.ts';
import { parseModel, requireFeatures, type TrainedModel } from '../training/trained-model.ts';
import { adapterOption } from './adapter-request.ts';
import { checkOptions } from './check-options.ts';
import { talk } from './progress.ts';
import { streamOption } from './train-config.ts';
import { unknownFeatures } from './unknown-features.ts';

const schema = z.strictObject({
  checkpoint: z.string(),
  features: z.string(),
  out: z.string(),
  dataset: z.string().optional(),
  coordsColumns: z.boolean().optional(),
  genes: z.string().optional(),
  attention: z.string().optional(),
  patches: z.string().optional(),
  streamAbove: streamOption,
  adapter: adapterOption,
  quiet: z.boolean().optional(),
});

export async function predictCommand(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const options = checkOptions(schema, flags, 'The command line');
  const { checkpoint, features, out, adapter, attention, patches } = options;
  const { say, warn } = talk(options);
  if (await isFolder(out)) {
    throw new HistogradError(
      'usage',
      `--out ${out} is a folder, where a file was expected.`,
      `For example: --out ${join(out, 'predictions.csv')}`,
    );
  }
  // Also finds out now whether there is such a folder.
  await sweepTemporaryFiles(dirname(out), (name) => name === basename(out)).catch((cause) => {
    throw writeError(out, cause instanceof HistogradError ? cause.cause : cause);
  });
  const files = await listFeatureFiles(features);
  const bytes = await readBytes(checkpoint);
  if (patches !== undefined && options.genes === undefined) {
    throw new HistogradError(
      'usage',
      '--patches needs --genes: the expression of every patch for every gene would fill the disk.',
      'For example: --genes ESR1,MKI67 --patches maps',
    );
  }
  let failed: string[] = [];
  const device = await Device.open(adapter ? { adapter } : {});
  try {
    const trained = parseModel(device, bytes, checkpoint);
    const columns = await chosenColumns(options.genes, trained, checkpoint);
    const genes = columns.map((g) => trained.genes[g]!);
    await checkFeatures(trained, files, options, warn);
    const streamed = streamWarning(options.streamAbove === undefined ? [] : [trained.kind]);
    if (streamed) warn(streamed);
    say(
      `${formatCount(files.length, 'slide')}, ${formatCount(genes.length, 'gene')}; on ${device.adapter.name}`,
    );
    const predictFile = async ({ id, path }: FeaturePath): Promise<string> => {
      const slide = await openFeatures(path, options);
      try {
        const prediction = await predictSlide(device, trained, slide, id, options.streamAbove);
        if (prediction.patches) {
          warn(
            `${id}: this adapter holds ${prediction.patches.length} of its ${slide.rows} patches at once; so many random ones are used, always the same`,
          );
        }
        if (attention) {
          await writeAttention(join(attention, `${id}.csv`), slide, prediction, trained);
        }
        if (patches) {
          const expression = await patchesOfFile(device, trained, slide, columns);
          await writePatches(join(patches, `${id}.safetensors`), slide, expression, genes);
        }
        return line([id, ...columns.map((g) => short(prediction.expression[g]!))]);
      } finally {
        slide.close();
      }
    };
    failed = await writeRows(out, line(['slide', ...genes]), files, predictFile, warn);
  } finally {
    device.close();
  }
  if (failed.length > 0) throw slidesFailed(out, failed, files.length);
  say(`Wrote ${out}${attention ? `, ${attention}/` : ''}${patches ? `, ${patches}/` : ''}`);
}

interface FeaturePath {
  readonly id: string;
  readonly path: string;
}

/** What of one slide keeps no other from being predicted: its values, and a file that cannot be read to its end. */
const ONE_SLIDE = /^(non-finite-|bad-|not-readable$|read-failed$|no-file$)/;

/**
 * Writes the rows as they come: a slide that fails is left out.
 *
 * @returns the slides that failed
 * @throws HistogradError `slides-failed` when there is none left to write
 */
export async function writeRows(
  out: string,
  header: string,
  files: readonly FeaturePath[],
  rowOf: (file: FeaturePath) => Promise<string>,
  warn: (text: string) => void,
): Promise<string[]> {
  const failed: string[] = [];
  let problem: unknown;
  async function* rows() {
    yield header;
    for (const file of files) {
      try {
        yield await rowOf(file);
      } catch (cause) {
        if (!(cause instanceof HistogradError && ONE_SLIDE.test(cause.code))) {
          problem = cause;
          throw cause;
        }
        failed.push(file.id);
        warn(`${file.id}: ${cause.message}`);
      }
    }
    if (failed.length === files.length) throw slidesFailed(out, failed, files.length);
  }
  // What was wrong with the rows was not the writing.
  await writeFileAtomic(out, rows()).catch((cause: unknown) => {
    throw problem ?? cause;
  });
  return failed;
}

function slidesFailed(out: string, failed: readonly string[], of: number): HistogradError {
  const all = failed.length === of;
  return new HistogradError(
    'slides-failed',
    `${failed.length} of ${formatCount(of, 'slide')} could not be predicted: ${failed.slice(0, 20).join(', ')}${failed.length > 20 ? ', …' : ''}.`,
    `See the warnings above; ${all ? `${out} was not written` : `${out} holds the others`}.`,
  );
}

/** A slide from its open file: whole, or in pieces where it is too large for that. */
async function predictSlide(
  device: Device,
  trained: TrainedModel,
  slide: FeatureFile,
  id: string,
  streamAbove: number | undefined,
): ReturnType<typeof predictBag> {
  const above = streamLimitOf(device, trained, slide.width, streamAbove);
  if (slide.rows > above) {
    const pieces = scaled(() => rowsOf(slide, Math.min(PIECE, above)), trained.scales.features);
    return { ...(await predictStreamed(trained, pieces, id)), patches: null };
  }
  const { rows, width } = slide;
  const bag = { features: slide.read(0, rows), rows, width };
  return predictBag(device, trained, bag, id, streamAbove);
}

async function patchesOfFile(
  device: Device,
  trained: TrainedModel,
  { rows, width, read }: FeatureFile,
  columns: readonly number[],
): Promise<Float32Array> {
  const out = new Float32Array(rows * columns.length);
  for (let start = 0; start < rows; start += PIECE) {
    const end = Math.min(rows, start + PIECE);
    const bag = { features: read(start, end), rows: end - start, width };
    out.set(await predictPatches(device, trained, bag, columns), start * columns.length);
  }
  return out;
}

/** From the headers, before anything is written: features of the right kind, and of one kind. */
async function checkFeatures(
  trained: TrainedModel,
  files: readonly { readonly path: string }[],
  options: FeatureOptions,
  warn: (text: string) => void,
): Promise<void> {
  const headers: SlideHeader[] = [];
  for (const { path } of files) headers.push({ path, ...(await readFeatureShape(path, options)) });
  for (const header of headers) requireFeatures(trained, header, header.path);
  const { settings, warning } = sharedSettings(headers);
  const unknown = warning ?? unknownFeatures(trained, settings);
  if (unknown !== undefined) warn(unknown);
}

type SlideHeader = FeatureHeader & { readonly path: string };

/** Indices of the genes asked for: a list with commas, or a file with one gene per line. */
async function chosenColumns(
  asked: string | undefined,
  { genes }: TrainedModel,
  checkpoint: string,
): Promise<number[]> {
  if (asked === undefined) return genes.map((_, g) => g);
  const known = new Set(genes);
  const listed = asked.split(',').map((name) => name.trim());
  const names =
    listed.every((name) => known.has(name)) || listed.length > 1 ? listed : await geneFile(asked);
  // For its check of unknown and repeated names.
  selectGenes({ samples: [], genes, values: new Float32Array() }, names, checkpoint);
  return names.map((name) => genes.indexOf(name));
}

/** A single name that is no gene of the model is a file, or a gene that the check will name. */
async function geneFile(path: string): Promise<string[]> {
  const text = await readText(path).catch(() => path);
  return text
    .split(/\r?\n/)
    .map((name) => name.trim())
    .filter(Boolean);
}

async function writeAttention(
  path: string,
  { coords }: Pick<FeatureFile, 'coords'>,
  { attention, patches }: Awaited<ReturnType<typeof predictBag>>,
  { kind }: TrainedModel,
): Promise<void> {
  if (!attention) {
    throw new HistogradError(
      'no-attention',
      `${kind} has no attention weights.`,
      'Leave out --attention, or use direct-abmil or contrastive.',
    );
  }
  const lines = [line(['patch', ...(coords ? ['x', 'y'] : []), 'weight'])];
  for (const [i, weight] of attention.entries()) {
    const row = patches?.[i] ?? i;
    const at = coords ? [coords[2 * row]!, coords[2 * row + 1]!] : [];
    lines.push(line([row, ...at, short(weight)]));
  }
  await makeFolder(dirname(path));
  await writeFileAtomic(path, lines);
}

async function writePatches(
  path: string,
  { rows, coords }: Pick<FeatureFile, 'rows' | 'coords'>,
  expression: Float32Array,
  genes: readonly string[],
): Promise<void> {
  const tensors = {
    expression: { shape: [rows, genes.length], data: expression },
    ...(coords && { coords: { shape: [rows, 2], data: coords } }),
  };
  await makeFolder(dirname(path));
  await writeFileAtomic(path, serializeSafetensors(tensors, { genes: JSON.stringify(genes) }));
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found?.isDirectory() ?? false;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause: unknown) => {
    throw writeError(join(path, '.'), cause);
  });
}

/** Nine digits give every float32 back exactly. */
function short(value: number): number {
  return +value.toPrecision(9);
}

function line(cells: readonly (string | number)[]): string {
  return `${Papa.unparse([cells.map(String)])}\n`;
}
