/** `histograd demo` (`npm start`): a simulated cohort, all models, a report. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import Papa from 'papaparse';
import { writeError, writeFileAtomic } from '../data/node/atomic-write.ts';
import { serializeSafetensors } from '../data/safetensors.ts';
import { DEMO_COHORT, type SimulatedCohort, simulateCohort } from '../data/simulated-cohort.ts';
import { TILE_STATISTICS, tileStatistics } from '../slides/tile-statistics.ts';
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
  await writeCohort(cohort, data);
  await removeEarlierDemo(out, data);
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

/** Replaces what an earlier demonstration wrote, and nothing else. */
async function removeEarlierDemo(out: string, data: string): Promise<void> {
  const config = await readFile(join(out, 'config.json'), 'utf8').catch(() => '{}');
  const { features }: { features?: string } = JSON.parse(config);
  if (features === join(data, 'features')) await rm(out, { recursive: true });
}

async function writeCohort({ slides, genes }: SimulatedCohort, path: string): Promise<void> {
  const folder = join(path, 'features');
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw writeError(folder, cause);
  });
  const width = TILE_STATISTICS.length;
  for (const { id, tiles, tileSize, coords } of slides) {
    const features = new Float32Array(tiles.length * width);
    for (const [i, tile] of tiles.entries())
      features.set(tileStatistics(tile, tileSize), i * width);
    const file = serializeSafetensors({
      features: { shape: [tiles.length, width], data: features },
      coords: { shape: [tiles.length, 2], data: coords },
    });
    await writeFileAtomic(join(folder, `${id}.safetensors`), file);
  }
  const expression = [
    ['slide', ...genes],
    ...slides.map((slide) => [slide.id, ...slide.expression]),
  ];
  const patients = [['slide', 'patient'], ...slides.map(({ id, patient }) => [id, patient])];
  await writeFileAtomic(join(path, 'expression.csv'), Papa.unparse(expression));
  await writeFileAtomic(join(path, 'patients.csv'), Papa.unparse(patients));
}
