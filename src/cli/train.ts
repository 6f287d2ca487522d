/** `histograd train`: cohort, cross-validation of every model, run folder, report. */
import { existsSync } from 'node:fs';
import { type Cohort, loadCohort } from '../data/node/cohort.ts';
import { readText } from '../data/node/read-file.ts';
import { readSplits } from '../data/node/read-splits.ts';
import { kFoldSplits, leaveOnePatientOut, type Split } from '../data/splits.ts';
import { HistogradError } from '../errors.ts';
import { Device } from '../gpu/device.ts';
import { type ModelKind, modelTitle } from '../models/registry.ts';
import { formatCount, formatDuration, formatSignificant } from '../report/format.ts';
import { renderReport } from '../report/report.ts';
import type { ReportData } from '../report/types.ts';
import { readsHalves } from '../tensor/convert.ts';
import { oversizeWarning, streamWarning } from '../training/bag-limit.ts';
import { neighbourWarning, requirePairs } from '../training/check-task.ts';
import { cohortSource } from '../training/cohort-source.ts';
import { crossValidate } from '../training/cross-validate.ts';
import { fingerprintData } from '../training/data-fingerprint.ts';
import { environmentOf } from '../training/environment.ts';
import {
  type GeneRegime,
  geneGroups,
  parseGeneRegimes,
  regimeTitle,
} from '../training/gene-groups.ts';
import { predictionLines } from '../training/prediction-lines.ts';
import { openRunFolder } from '../training/run-folder.ts';
import { type RunSummary, summarise } from '../training/run-results.ts';
import { interrupted, interruptible, RunProgress, type Talk, talk } from './progress.ts';
import { scoreNotes, scoreTable, unitOf } from './score-table.ts';
import {
  FOLDS,
  optionsOf,
  readTrainConfig,
  resolvedConfig,
  type TrainConfig,
  topGenes,
} from './train-config.ts';

export async function trainCommand(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const config = await readTrainConfig(flags);
  const { say, warn } = talk(config);
  const summary = await runTraining(config, { say, warn }, { command: commandLine() });
  if (config.json) process.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
}

/** As typed, fit to be pasted into a shell. */
function commandLine(): string {
  const quote = (word: string) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  return ['histograd', ...process.argv.slice(2).filter((word) => word !== '--resume')]
    .map(quote)
    .join(' ');
}

/** What the report says besides the scores. */
interface About {
  command: string;
  simulated?: ReportData['simulated'];
}

/** Trains all models of a config and writes the run folder. */
export async function runTraining(
  config: TrainConfig,
  { say, warn }: Talk,
  about: About,
): Promise<RunSummary> {
  const cohort = await readCohort(config, warn);
  const splits = await makeSplits(config, cohort);
  const fewest = Math.min(...splits.map(({ train }) => train.length));
  for (const model of config.model)
    for (const { train } of splits)
      requirePairs(model, train.length, optionsOf(config, model).options.batchSize);
  const regimes = parseGeneRegimes(config.geneRegime);
  const jobs = config.model.flatMap((model) => regimes.map((regime) => ({ model, regime })));
  const { out, resume = false } = config;
  const data = await fingerprintData(cohort, splits);
  // Before the folder: without an adapter nothing is written.
  const device = await Device.open(config.adapter ? { adapter: config.adapter } : {});
  const { mark: tuningMark } = device.chosenTuning;
  const run = await openRunFolder(out, identity(config), resume, {
    ...{ data, tuningMark },
    comesTo: resolvedConfig,
  });
  const { name, why } = device.adapter;
  say(
    `${formatCount(cohort.slides.length, 'slide')}, ${formatCount(cohort.genes.length, 'gene')}, ${formatCount(splits.length, 'fold')}; on ${name} (${why})`,
  );
  // A model may have its own.
  const precisions = new Set(
    config.model.map((model) => optionsOf(config, model).options.precision ?? 'float32'),
  );
  const environment = {
    ...(await environmentOf(device)),
    ...{ seed: String(config.seed), precision: [...precisions].join(', ') },
  };
  if (precisions.has('mixed') && !readsHalves(device)) {
    warn(
      `${name} does not multiply in float16 (${device.features.has('shader-f16') ? 'it is a CPU' : 'no shader-f16'}): --precision mixed rounds as it would elsewhere, but is slower than float32 here`,
    );
  }
  await run.write('environment', `${JSON.stringify(environment, undefined, 2)}\n`);

  const groupsOf = (regime: GeneRegime) => geneGroups(cohort.genes, regime).length;
  const planned = (model: ModelKind) => plannedSteps(config, model, splits);
  const total = sumOf(jobs.map(({ model, regime }) => groupsOf(regime) * sumOf(planned(model))));
  const progress = new RunProgress(total, !config.quiet, say);
  const source = cohortSource(cohort.slides, config);
  const streamed = streamWarning(
    config.model.filter((model) => optionsOf(config, model).options.streamAbove !== undefined),
  );
  if (streamed) warn(streamed);
  for (const model of config.model) {
    const large = oversizeWarning(device, source, model, optionsOf(config, model).modelOptions);
    if (large) warn(`${model}: ${large}`);
    const same = neighbourWarning(model, optionsOf(config, model).modelOptions, fewest);
    if (same) warn(`${model}: ${same}`);
  }
  const models: ReportData['models'] = [];
  try {
    await interruptible({ say, warn }, 'writing a checkpoint', async (signal) => {
      for (const { model, regime } of jobs) {
        if (signal.aborted) throw interrupted(out);
        const steps = new Map(splits.map((split, i) => [split.name, planned(model)[i] ?? 0]));
        const groups = groupsOf(regime);
        const title =
          regimes.length > 1 ? `${modelTitle(model)}, ${regimeTitle(regime)}` : modelTitle(model);
        let left = groups;
        let skipped = 0;
        let started = performance.now();
        let fresh = false;
        const report = await crossValidate({
          device,
          source,
          genes: cohort.genes,
          targets: cohort.targets,
          splits,
          kind: model,
          ...optionsOf(config, model),
          regime,
          transform: config.transform,
          record: (fold, group) => run.group(model, fold, group),
          signal,
          onWarning: warn,
          onProgress: (news) =>
            progress.update(`${model} ${news.fold}${groups > 1 ? ` ${news.group}` : ''}`, news),
          onGroup: (fold, _group, result, before) => {
            progress.finish(steps.get(fold) ?? 0);
            fresh ||= !before;
            skipped += result.skippedSteps ?? 0;
            if (--left > 0) return;
            const time = formatDuration((performance.now() - started) / 1000);
            progress.line(
              `${title}, ${fold}: ${fresh ? `trained and tested in ${time}` : 'finished before'}${skipped > 0 ? `; ${formatCount(skipped, 'step')} left out (a gradient overflowed float16)` : ''}`,
            );
            left = groups;
            skipped = 0;
            started = performance.now();
            fresh = false;
          },
        });
        models.push({ ...report, name: title });
      }
    });
  } finally {
    progress.stop();
    device.close();
  }
  const report: ReportData = {
    title: config.title ?? 'Gene expression from histology',
    ...about,
    environment,
    config: identity(config),
    genes: [...cohort.genes],
    expressionUnit: unitOf(config.transform),
    models,
  };
  const summary = summarise(report);
  await run.write('predictions', predictionLines(report));
  await run.write('report', renderReport(report));
  // Last: a folder that has it is finished.
  await run.write('summary', `${JSON.stringify(summary, undefined, 2)}\n`);
  say(`\n${scoreTable(summary)}`);
  for (const note of scoreNotes(summary)) say(note);
  say(`\nReport: ${out}/report.html`);
  return summary;
}

/** Everything that decides the results, as it is kept in config.json. */
function identity(config: TrainConfig): Record<string, unknown> {
  const {
    out: _,
    resume: __,
    quiet: ___,
    json: ____,
    adapter: _____,
    title: ______,
    ...rest
  } = config;
  return rest;
}

async function readCohort(config: TrainConfig, warn: (text: string) => void): Promise<Cohort> {
  const { genes: asked } = config;
  const top = typeof asked === 'string' ? topGenes(asked) : undefined;
  const genes = Array.isArray(asked) ? asked : asked && !top ? await namedGenes(asked) : undefined;
  const cohort = await loadCohort({ ...config, genes });
  for (const warning of cohort.warnings) warn(warning);
  const largest = cohort.targets.reduce((a, b) => Math.max(a, b), 0);
  if (config.transform === 'none' && largest > 50) {
    warn(
      `the largest expression value is ${formatSignificant(largest)}: if these are counts, train with --transform log2`,
    );
  }
  return top ? keepTop(cohort, top) : cohort;
}

/** Genes with commas, or a file with one per line; a name that is neither a path nor a file is a gene. */
async function namedGenes(asked: string): Promise<string[]> {
  if (asked.includes(',')) {
    return asked
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean);
  }
  const isPath = /[/\\]|\.(txt|csv|tsv)$/.test(asked);
  return isPath || existsSync(asked) ? readGeneList(asked) : [asked];
}

async function readGeneList(path: string): Promise<string[]> {
  const genes = (await readText(path))
    .split(/\r?\n/)
    .map((text) => text.trim())
    .filter(Boolean);
  if (genes.length > 0) return genes;
  throw new HistogradError(
    'no-genes',
    `${path} lists no genes.`,
    'Write one gene per line, or use top:N.',
  );
}

/** The n genes that vary most over the slides, in the table's order. */
function keepTop(cohort: Cohort, n: number): Cohort {
  const { genes, slides, targets } = cohort;
  const variance = genes.map((_, g) => {
    let sum = 0;
    let squares = 0;
    for (let i = g; i < targets.length; i += genes.length) {
      sum += targets[i]!;
      squares += targets[i]! ** 2;
    }
    return squares / slides.length - (sum / slides.length) ** 2;
  });
  const kept = genes
    .map((_, g) => g)
    .sort((a, b) => variance[b]! - variance[a]! || a - b)
    .slice(0, n)
    .sort((a, b) => a - b);
  const values = new Float32Array(slides.length * kept.length);
  for (let i = 0; i < slides.length; i++) {
    for (const [at, g] of kept.entries())
      values[i * kept.length + at] = targets[i * genes.length + g]!;
  }
  return { ...cohort, genes: kept.map((g) => genes[g]!), targets: values };
}

async function makeSplits(config: TrainConfig, { slides }: Cohort): Promise<Split[]> {
  const patients = slides.map(({ patient }) => patient);
  const { seed, validationFraction } = config;
  if (config.splits !== undefined) {
    const ids = slides.map(({ id }) => id);
    return readSplits(config.splits, ids, patients, { seed, validationFraction });
  }
  if (config.leaveOnePatientOut) return leaveOnePatientOut(patients, { seed, validationFraction });
  return kFoldSplits(patients, { folds: config.folds ?? FOLDS, seed, validationFraction });
}

/** Steps of each fold without early stopping. */
function plannedSteps(config: TrainConfig, kind: ModelKind, splits: readonly Split[]): number[] {
  const { epochs, batchSize } = optionsOf(config, kind).options;
  const trains = kind !== 'knn' && kind !== 'ridge';
  return splits.map(({ train }) => (trains ? epochs * Math.ceil(train.length / batchSize) : 0));
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
