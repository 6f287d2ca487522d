/** `histograd evaluate`: scores and report again, from a run folder or from a model and a labelled cohort. */
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { ExpressionTransform } from '../data/expression-transform.ts';
import { writeFileAtomic } from '../data/node/atomic-write.ts';
import { type Cohort, loadCohort } from '../data/node/cohort.ts';
import { readBytes } from '../data/node/read-file.ts';
import { HistogradError } from '../errors.ts';
import { Device } from '../gpu/device.ts';
import { modelTitle } from '../models/registry.ts';
import { formatCount } from '../report/format.ts';
import { renderReport } from '../report/report.ts';
import type { ReportData } from '../report/types.ts';
import { oversizeWarning, streamWarning } from '../training/bag-limit.ts';
import { cohortSource } from '../training/cohort-source.ts';
import { environmentOf } from '../training/environment.ts';
import { predictSlides } from '../training/predict.ts';
import { predictionLines } from '../training/prediction-lines.ts';
import { RUN_FILES } from '../training/run-files.ts';
import { openRunFolder } from '../training/run-folder.ts';
import { type RunSummary, readRun, summarise } from '../training/run-results.ts';
import { TRAIN_DEFAULTS } from '../training/task.ts';
import { parseModel, requireFeatures, type TrainedModel } from '../training/trained-model.ts';
import { adapterOption } from './adapter-request.ts';
import { checkOptions } from './check-options.ts';
import { talk } from './progress.ts';
import { scoreNotes, scoreTable, unitOf } from './score-table.ts';
import { cohortShape, streamOption } from './train-config.ts';
import { unknownFeatures } from './unknown-features.ts';

const schema = z.strictObject({
  ...cohortShape,
  transform: cohortShape.transform.unwrap().optional(),
  checkpoint: z.string(),
  out: z.string(),
  streamAbove: streamOption,
  adapter: adapterOption,
  json: z.boolean().optional(),
});

export async function evaluateCommand(
  run: string | undefined,
  flags: Readonly<Record<string, unknown>>,
): Promise<void> {
  const json = flags.json === true;
  const { say, warn } = talk({ json });
  const { summary, place } =
    run !== undefined && flags.checkpoint === undefined
      ? await evaluateRun(run)
      : await evaluateModel(run, flags, warn);
  if (json) process.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
  say(
    `${scoreTable(summary)}\n${scoreNotes(summary).join('\n')}\n\nReport: ${join(place, RUN_FILES.report)}`,
  );
}

async function evaluateRun(place: string) {
  const data = await readRun(place);
  const summary = summarise(data);
  await writeFileAtomic(join(place, RUN_FILES.report), renderReport(data));
  await writeFileAtomic(
    join(place, RUN_FILES.summary),
    `${JSON.stringify(summary, undefined, 2)}\n`,
  );
  return { summary, place };
}

async function evaluateModel(
  run: string | undefined,
  flags: Readonly<Record<string, unknown>>,
  warn: (text: string) => void,
): Promise<{ summary: RunSummary; place: string }> {
  if (flags.checkpoint === undefined || run !== undefined) {
    throw new HistogradError(
      'usage',
      run === undefined
        ? 'evaluate: nothing to evaluate.'
        : 'evaluate takes a run folder or --checkpoint, not both.',
      'histograd evaluate RUN, or histograd evaluate --checkpoint FILE --features DIR --expression FILE --out DIR',
    );
  }
  const options = checkOptions(schema, flags, 'The command line');
  const { checkpoint, out, adapter } = options;
  const bytes = await readBytes(checkpoint);
  const device = await Device.open(adapter ? { adapter } : {});
  try {
    const trained = parseModel(device, bytes, checkpoint);
    const transform = chosenTransform(options.transform, trained, checkpoint);
    const cohort = await loadCohort({ ...options, transform, genes: trained.genes });
    for (const warning of cohort.warnings) warn(warning);
    const source = cohortSource(cohort.slides, options);
    requireFeatures(trained, source, options.features);
    const unknown = unknownFeatures(trained, source.settings);
    if (unknown !== undefined) warn(unknown);
    warnOfSeen(cohort, trained, warn);
    const large = oversizeWarning(device, source, trained.kind, trained.options);
    if (large) warn(large);
    const streamed = streamWarning(options.streamAbove === undefined ? [] : [trained.kind]);
    if (streamed) warn(streamed);
    const { out: _, json: __, ...given } = options;
    const config = { ...given, transform };
    const folder = await openRunFolder(out, config, null, {
      comesTo: (saved) => checkOptions(schema, { ...saved, out: '' }, RUN_FILES.config),
    });
    const slides = cohort.slides.map((_, i) => i);
    const predicted = new Float32Array(cohort.targets.length);
    const { evaluationPatches } = TRAIN_DEFAULTS;
    for await (const { slide, expression } of predictSlides(
      device,
      trained,
      source,
      slides,
      evaluationPatches,
      options.streamAbove,
    )) {
      predicted.set(expression, slide * trained.genes.length);
    }
    const data: ReportData = {
      title: `${modelTitle(trained.kind)} on ${basename(options.features)}`,
      command: 'histograd evaluate',
      environment: await environmentOf(device),
      config,
      genes: [...trained.genes],
      expressionUnit: unitOf(transform),
      models: [
        {
          name: modelTitle(trained.kind),
          regime: 'as trained',
          parameters: trained.model.parameterCount(),
          seconds: 0,
          modelsTrained: 0,
          curves: [],
          folds: [
            {
              name: 'all slides',
              slides: cohort.slides.map(({ id }) => id),
              observed: cohort.targets,
              predicted,
            },
          ],
        },
      ],
    };
    const summary = summarise(data);
    await folder.write('environment', `${JSON.stringify(data.environment, undefined, 2)}\n`);
    await folder.write('predictions', predictionLines(data));
    await folder.write('report', renderReport(data));
    await folder.write('summary', `${JSON.stringify(summary, undefined, 2)}\n`);
    return { summary, place: out };
  } finally {
    device.close();
  }
}

/** The model's own transform, unless it has none stored. */
function chosenTransform(
  asked: ExpressionTransform | undefined,
  { provenance }: TrainedModel,
  checkpoint: string,
): ExpressionTransform {
  const own = provenance?.transform;
  if (own === undefined || asked === undefined || asked === own) return asked ?? own ?? 'none';
  throw new HistogradError(
    'usage',
    `${checkpoint} was trained on expression with --transform ${own}; --transform ${asked} would score it in other units.`,
    'Leave --transform out: the one of the training is used.',
  );
}

function warnOfSeen(
  { slides }: Cohort,
  { provenance }: TrainedModel,
  warn: (text: string) => void,
): void {
  const seenSlides = new Set(provenance?.slides);
  const seenPatients = new Set(provenance?.patients);
  const seen = slides.filter(({ id, patient }) => seenSlides.has(id) || seenPatients.has(patient));
  const [first] = seen;
  if (!first) return;
  const what = seenSlides.has(first.id) ? `slide ${first.id}` : `patient ${first.patient}`;
  warn(
    `the model has seen ${seen.length} of these ${formatCount(slides.length, 'slide')} or their patients in training (${what}): the scores are too good to be true`,
  );
}
