// Makes the example run of the page with the command line: node src/web/example/make.mjs [adapter]
// (about two minutes on a software adapter). Needs a build: npm run build:node.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const cli = join(here, '../../../dist/node/cli.js');
const folder = mkdtempSync(join(tmpdir(), 'histograd-example-'));
const adapter = process.argv[2] ? ['--adapter', process.argv[2]] : [];
const histograd = (...args) =>
  execFileSync(process.execPath, [cli, ...args, ...adapter], { stdio: 'inherit', cwd: folder });

// The demonstration writes the simulated cohort: the same one that the page draws.
histograd('demo', '--out', 'demo', '--quiet');
// What there is to see without WebGPU; unlike the report of `train` it says that the data are simulated.
copyFileSync(join(folder, 'demo/report.html'), join(here, 'report.html'));
const data = 'demo-data';
const patients = readFileSync(join(folder, data, 'patients.csv'), 'utf8')
  .trim()
  .split(/\r?\n/)
  .slice(1);
const part = (patient) => {
  const number = Number(patient.slice(-2));
  return number % 5 === 0 ? 'test' : number % 7 === 0 ? 'validation' : 'train';
};
const rows = patients
  .map((line) => line.split(','))
  .map(([slide, patient]) => [slide, part(patient)]);
writeFileSync(
  join(folder, 'splits.csv'),
  [['slide', 'example'], ...rows].map((row) => row.join(',')).join('\n'),
);
const training = {
  model: 'direct-abmil',
  features: join(data, 'features'),
  expression: join(data, 'expression.csv'),
  patients: join(data, 'patients.csv'),
  splits: 'splits.csv',
  out: 'run',
  featureScale: 'zscore',
  targetScale: 'zscore',
  schedule: 'cosine',
  warmupEpochs: 2,
  maxPatches: 24,
  set: { 'direct-abmil': { hidden: 128, attention: 32, epochs: 40, batchSize: 12, lr: 4e-3 } },
};
writeFileSync(join(folder, 'train.json'), JSON.stringify(training));
histograd('train', '--config', 'train.json');

const group = join(folder, 'run/direct-abmil/example/all');
copyFileSync(join(group, 'best.safetensors'), join(here, 'model.safetensors'));
const lines = readFileSync(join(group, 'metrics.jsonl'), 'utf8').trim().split('\n');
const points = lines.map((line) => JSON.parse(line)).filter((line) => 'trainLoss' in line);
const last = points.at(-1);
const count = (name) =>
  new Set(
    patients.filter((line) => part(line.split(',')[1]) === name).map((line) => line.split(',')[1]),
  ).size;
const { models } = JSON.parse(readFileSync(join(folder, 'run/summary.json'), 'utf8'));
const { epochs, batchSize, lr } = training.set['direct-abmil'];
const run = {
  settings: { epochs, batchSize, maxPatches: training.maxPatches, lr, patience: 10 },
  /** Patients. */
  split: {
    train: count('train'),
    validation: count('validation'),
    test: count('test'),
  },
  // What the command line found on the test part.
  meanPearson: models[0].scores.meanPearson,
  epoch: last.epoch,
  epochs,
  step: last.step,
  totalSteps: last.step,
  seconds: Math.round(models[0].seconds),
  points,
};
writeFileSync(join(here, 'run.json'), `${JSON.stringify(run, undefined, 2)}\n`);
rmSync(folder, { recursive: true });
