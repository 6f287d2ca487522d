/** `histograd train`: cohort, cross-validation of every model, run folder, report. */
import { hostFacts } from '#platform';
import { type Cohort, loadCohort } from '../data/node/cohort.ts';
import { readText } from '../data/node/read-file.ts';
import { readSplits } from '../data/node/read-splits.ts';
import { kFoldSplits, leaveOnePatientOut, type Split } from '../data/splits.ts';
import { HistogradError } from '../errors.ts';
import { Device } from '../gpu/device.ts';
import { type ModelKind, modelTitle } from '../models/registry.ts';
import { formatDuration } from '../report/format.ts';
import { renderReport } from '../report/report.ts';
import type { ReportData } from '../report/types.ts';
import { cohortSource } from '../training/cohort-source.ts';
import { crossValidate } from '../training/cross-validate.ts';
import { geneGroups, parseGeneRegime } from '../training/gene-groups.ts';
import { openRunFolder } from '../training/run-folder.ts';
import { predictionLines, type RunSummary, summarise } from '../training/run-results.ts';
import { interrupted, interruptible, RunProgress, type Talk, table, talk } from './progress.ts';
import { optionsOf, readTrainConfig, type TrainConfig } from './train-config.ts';

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
  const regime = parseGeneRegime(config.geneRegime);
  const { out, resume = false } = config;
  const run = await openRunFolder(out, identity(config), resume);
  const device = await Device.open(config.adapter ? { adapter: config.adapter } : {});
  const { name, kind, why } = device.adapter;
  say(
    `${cohort.slides.length} slides, ${cohort.genes.length} genes, ${splits.length} folds; on ${name} (${why})`,
  );
  const environment = {
    adapter: `${name} (${kind})`,
    ...(await hostFacts()),
    seed: String(config.seed),
    date: new Date().toISOString(),
  };
  await run.write('environment', `${JSON.stringify(environment, undefined, 2)}\n`);

  const groups = geneGroups(cohort.genes, regime).length;
  const planned = (model: ModelKind) => plannedSteps(config, model, splits);
  const total = config.model.reduce((sum, model) => sum + groups * sumOf(planned(model)), 0);
  const progress = new RunProgress(total, !config.quiet);
  const source = cohortSource(cohort.slides, config);
  const models: ReportData['models'] = [];
  try {
    await interruptible({ say, warn }, async (signal) => {
      for (const model of config.model) {
        if (signal.aborted) throw interrupted(out);
        const steps = new Map(splits.map((split, i) => [split.name, planned(model)[i] ?? 0]));
        const started = performance.now();
        const report = await crossValidate({
          device,
          source,
          genes: cohort.genes,
          targets: cohort.targets,
          splits,
          kind: model,
          ...optionsOf(config, model),
          regime,
          record: (fold, group) => run.group(model, fold, group),
          signal,
          onProgress: (news) =>
            progress.update(`${model} ${news.fold}${groups > 1 ? ` ${news.group}` : ''}`, news),
          onGroup: (fold) => progress.finish(steps.get(fold) ?? 0),
        });
        models.push(report);
        if (!process.stderr.isTTY) {
          say(
            `${modelTitle(model)}: ${splits.length} folds in ${formatDuration((performance.now() - started) / 1000)}`,
          );
        }
      }
    });
  } finally {
    progress.stop();
    device.close();
  }
  const data: ReportData = {
    title: config.title ?? 'Gene expression from histology',
    ...about,
    environment,
    config: identity(config),
    genes: [...cohort.genes],
    expressionUnit:
      config.transform === 'none' ? 'expression' : `${config.transform}(1 + expression)`,
    models,
  };
  const summary = summarise(data);
  await run.write('predictions', predictionLines(data));
  await run.write('report', renderReport(data));
  // Last: a folder that has it is finished.
  await run.write('summary', `${JSON.stringify(summary, undefined, 2)}\n`);
  say(`\n${scoreTable(summary)}\n`);
  say(`Report: ${out}/report.html`);
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
  const top = typeof asked === 'string' ? /^top:([1-9]\d*)$/.exec(asked)?.[1] : undefined;
  const genes = Array.isArray(asked)
    ? asked
    : asked && !top
      ? await readGeneList(asked)
      : undefined;
  const cohort = await loadCohort({ ...config, genes });
  for (const warning of cohort.warnings) warn(warning);
  const largest = cohort.targets.reduce((a, b) => Math.max(a, b), 0);
  if (config.transform === 'none' && largest > 50) {
    warn(
      `the largest expression value is ${largest}: if these are counts, train with --transform log2`,
    );
  }
  return top ? keepTop(cohort, Number(top)) : cohort;
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
  return kFoldSplits(patients, { folds: config.folds ?? 5, seed, validationFraction });
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

/** The scores for a terminal, with the reachable one where it is known. */
export function scoreTable({ models, genes, simulated }: RunSummary): string {
  const number = (value: number | null) => (value === null ? '-' : value.toFixed(3));
  const pam50 = models.some(({ scores }) => scores.pam50MeanPearson !== null);
  const pooled = models.every(({ scores }) => scores.meanPearson === null);
  const rows = models.map(({ name, scores, seconds }) => [
    name,
    number(pooled ? scores.pooledMeanPearson : scores.meanPearson),
    `${scores.genesAbove04} of ${genes}`,
    ...(pam50 ? [number(scores.pam50MeanPearson)] : []),
    number(scores.mse),
    formatDuration(seconds),
  ]);
  if (simulated) {
    const blank = pam50 ? ['', '', ''] : ['', ''];
    rows.push(['Reachable (simulated)', number(simulated.reachableMeanPearson), '', ...blank]);
  }
  const head = [
    'Model',
    pooled ? 'Pooled Pearson' : 'Mean Pearson',
    'r > 0.4',
    ...(pam50 ? ['PAM50'] : []),
    'MSE',
    'Time',
  ];
  return table([head, ...rows]);
}
