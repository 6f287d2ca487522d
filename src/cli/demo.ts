/** `histograd demo` (`npm start`): a simulated cohort, all models, a report. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Papa from 'papaparse';
import { z } from 'zod';
import { writeError, writeFileAtomic } from '../data/node/atomic-write.ts';
import { readBytes } from '../data/node/read-file.ts';
import { serializeSafetensors } from '../data/safetensors.ts';
import { DEMO_COHORT, type SimulatedCohort, simulateCohort } from '../data/simulated-cohort.ts';
import { HistogradError } from '../errors.ts';
import { TILE_STATISTICS, tileStatistics } from '../slides/tile-statistics.ts';
import { RUN_FILES } from '../training/run-files.ts';
import { clearRun, requireEmpty } from '../training/run-folder.ts';
import { adapterRequest } from './adapter-request.ts';
import { commandName } from './command-name.ts';
import { talk } from './progress.ts';
import { runTraining } from './train.ts';
import { checkTrainConfig } from './train-config.ts';

/** Small models and short training: enough for the simulated cohort, in seconds each on two cores. */
const SETTINGS = {
  model: 'all',
  folds: 3,
  featureScale: 'zscore',
  targetScale: 'zscore',
  // 24 training patients are too few to spare some: no early stopping, the last parameters are used.
  validationFraction: 0,
  schedule: 'cosine',
  warmupEpochs: 2,
  maxPatches: 24,
  set: {
    'direct-abmil': { hidden: 128, attention: 32, epochs: 32, batchSize: 12, lr: 5e-3 },
    'direct-patch-level': { hidden: 128, epochs: 32, batchSize: 12, lr: 5e-3 },
    contrastive: {
      ...{
        hidden: 128,
        attention: 32,
        geneHidden: 128,
        temperature: 0.1,
        retrievalTemperature: 0.1,
      },
      ...{ epochs: 60, batchSize: 48, lr: 4e-3 },
    },
    knn: { k: 10 },
  },
};

export async function demoCommand(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const quiet = flags.quiet === true;
  const out = String(flags.out);
  const adapter = adapterRequest(flags.adapter);
  const { say, warn } = talk({ quiet });
  say(
    'Simulated cohort: drawings of tissue whose genes follow what was drawn. It says nothing about biology.',
  );
  const cohort = simulateCohort(DEMO_COHORT);
  const data = `${out}-data`;
  await makeRoom(out, data, cohort);
  const config = checkTrainConfig(
    {
      ...SETTINGS,
      features: join(data, 'features'),
      expression: join(data, 'expression.csv'),
      patients: join(data, 'patients.csv'),
      out,
      title: 'histograd demonstration: simulated cohort',
      ...(adapter && { adapter }),
      quiet,
    },
    'The demonstration',
  );
  await runTraining(
    config,
    { say, warn },
    {
      command: 'histograd demo',
      simulated: {
        reachableMeanPearson: cohort.reachableMean,
        note: 'Tiles were drawn by a program and expression computed from the drawings, with noise.',
      },
    },
  );
  const histograd = commandName();
  say(`
With your own data (patch features of CLAM, UNI, ... and an expression table):
  ${histograd} train --features FEATURES_DIR --expression EXPRESSION.csv --model all --out runs/mine
Every option: ${histograd} train --help. What runs here: ${histograd} doctor.`);
}

/**
 * Writes the cohort, and removes the results of an earlier demonstration: nothing else in either folder is touched.
 *
 * @throws HistogradError `data-exists` (a file of the cohort is there with another content), `out-not-empty`; nothing
 *   was written then
 */
export async function makeRoom(out: string, data: string, cohort: SimulatedCohort): Promise<void> {
  const files = cohortFiles(cohort, data);
  for (const [path, content] of files) {
    const found = await readBytes(path).catch((cause: unknown) => {
      if (cause instanceof HistogradError && cause.code === 'no-file') return null;
      throw cause;
    });
    if (found === null || Buffer.compare(found, Buffer.from(content)) === 0) continue;
    throw new HistogradError(
      'data-exists',
      `${path} is not what the demonstration would write there.`,
      `Move ${data} elsewhere, or remove it; or choose another --out.`,
    );
  }
  const earlier = await earlierDemo(out, data);
  if (!earlier) await requireEmpty(out, 'demonstration');
  for (const [path, content] of files) {
    await mkdir(dirname(path), { recursive: true }).catch((cause: unknown) => {
      throw writeError(dirname(path), cause);
    });
    await writeFileAtomic(path, content);
  }
  if (earlier) await clearRun(out, earlier.model);
}

/** The config of the demonstration that ran there; null where there was none. */
async function earlierDemo(out: string, data: string) {
  const text = await readFile(join(out, RUN_FILES.config), 'utf8').catch(() => '');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const { data: config } = CONFIG.safeParse(json);
  return config?.features === join(data, 'features') ? config : null;
}

const CONFIG = z.object({ features: z.string(), model: z.array(z.string()) });

/** By path. */
function cohortFiles({ slides, genes }: SimulatedCohort, data: string) {
  const width = TILE_STATISTICS.length;
  const features = slides.map(({ id, tiles, tileSize, coords }): [string, Uint8Array] => {
    const rows = new Float32Array(tiles.length * width);
    for (const [i, tile] of tiles.entries()) rows.set(tileStatistics(tile, tileSize), i * width);
    const file = serializeSafetensors({
      features: { shape: [tiles.length, width], data: rows },
      coords: { shape: [tiles.length, 2], data: coords },
    });
    return [join(data, 'features', `${id}.safetensors`), file];
  });
  const expression = [
    ['slide', ...genes],
    ...slides.map((slide) => [slide.id, ...slide.expression]),
  ];
  const patients = [['slide', 'patient'], ...slides.map(({ id, patient }) => [id, patient])];
  return new Map<string, Uint8Array | string>([
    ...features,
    [join(data, 'expression.csv'), Papa.unparse(expression)],
    [join(data, 'patients.csv'), Papa.unparse(patients)],
  ]);
}
