/** The commands and their options; what they do is imported when one is run. */
import { Command, Option } from 'commander';
import { VERSION } from '../version.ts';

const NUMBER = (text: string): number | string =>
  text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
const COLLECT = (text: string, before: string[] = []): string[] => [...before, text];

export function program(): Command {
  const root = new Command('histograd')
    .description(
      'Gene expression from histology slides, trained on WebGPU with hand-written kernels.',
    )
    .version(VERSION)
    .showSuggestionAfterError()
    .showHelpAfterError('(histograd --help lists all commands and options)')
    .exitOverride()
    .enablePositionalOptions();
  root
    .addCommand(extract())
    .addCommand(train())
    .addCommand(evaluate())
    .addCommand(predict())
    .addCommand(doctor())
    .addCommand(demo())
    .addCommand(data());
  return root;
}

function command(name: string, description: string): Command {
  return new Command(name).description(description).exitOverride().showSuggestionAfterError();
}

function adapter(): Option {
  return new Option(
    '--adapter <name>',
    'where to compute: auto, hardware, lavapipe or swiftshader (default: auto, or HISTOGRAD_ADAPTER)',
  );
}

function streamAbove(): Option {
  return new Option(
    '--stream-above <n>',
    'direct-abmil: more patches than this go through the GPU in pieces (default: 65536, or what fits on the adapter)',
  ).argParser(NUMBER);
}

/** How to read a cohort; shared by train and evaluate. */
function cohortOptions(to: Command): Command {
  return to
    .option(
      '--features <dir>',
      'folder of patch features: .h5, .npy, .safetensors or .pt, one file per slide',
    )
    .option(
      '--expression <file>',
      'expression table, CSV or TSV (.gz too), genes as columns or as rows',
    )
    .option(
      '--patients <file>',
      'CSV with the columns slide,patient (default: TCGA barcodes, else one patient per slide)',
    )
    .option(
      '--patient-pattern <regex>',
      'finds the patient in a slide name: first group, else the whole match',
    )
    .option('--dataset <name>', 'name of the array inside feature files that hold several')
    .option('--coords-columns', "features in HE2RNA's .npy layout: level, column, row come first")
    .option('--orientation <which>', 'auto, genes-as-columns or genes-as-rows (default: auto)')
    .option(
      '--on-missing <what>',
      'slides without expression or the reverse: error or skip (default: error)',
    )
    .option(
      '--transform <name>',
      'log2 or log10 of 1 + x, or none (default: none; evaluate: as the model was trained)',
    );
}

function train(): Command {
  return cohortOptions(
    command(
      'train',
      'train and cross-validate models; writes a run folder with predictions and a report',
    ),
  )
    .option(
      '--config <file>',
      'JSON or YAML file with any of these options (in camelCase); flags win',
    )
    .option(
      '--model <kinds>',
      'direct-abmil, direct-patch-level, contrastive, knn, ridge; several with commas, or repeated; or all',
      (more: string, so: string | undefined) => (so ? `${so},${more}` : more),
    )
    .option('--out <dir>', 'run folder to write')
    .option('--folds <n>', 'patient-level folds (default: 5)', NUMBER)
    .option('--leave-one-patient-out', 'one fold per patient')
    .option(
      '--splits <file>',
      "CSV with the columns slide,fold; or slide and one per split; or fold,slide,part (st-bags' layout)",
    )
    .option(
      '--validation-fraction <f>',
      'share of the training patients kept for early stopping (default: 0.1)',
      NUMBER,
    )
    .option(
      '--genes <which>',
      'genes with commas, a file with one per line, or top:N for the N that vary most (default: all)',
    )
    .option(
      '--gene-regime <which>',
      'all (one model), chunks:K (K genes per model), per-gene; several with commas to compare (default: all)',
    )
    .option(
      '--feature-scale [kind]',
      'zscore or none: standardise features on the training slides (default: zscore)',
    )
    .option(
      '--target-scale [kind]',
      'zscore or none: standardise genes on the training slides (default: zscore)',
    )
    .option(
      '--epochs <n>',
      'passes over the training slides (default: by model, 50 or 100)',
      NUMBER,
    )
    .option('--batch-size <n>', 'bags per step (default: by model, 8 or 64)', NUMBER)
    .option(
      '--max-patches <n>',
      'random patches of a bag per step (default: by model, 256 or 2048)',
      NUMBER,
    )
    .option('--lr <x>', 'learning rate of AdamW (default: 1e-4)', NUMBER)
    .option('--min-lr <x>', 'where a cosine schedule ends (default: 1e-8)', NUMBER)
    .option('--weight-decay <x>', 'decoupled weight decay (default: 1e-5)', NUMBER)
    .option('--warmup-epochs <n>', 'epochs of linear warm-up (default: by model, 0 or 5)', NUMBER)
    .option('--schedule <kind>', 'constant or cosine (default: by model)')
    .option(
      '--precision <kind>',
      'float32, or mixed: products in float16, with a loss scale (default: float32)',
    )
    .option('--max-norm <x>', 'clip the gradient to this norm (default: no clipping)', NUMBER)
    .option(
      '--patience <n>',
      'epochs without a better validation before training stops (default: 10)',
      NUMBER,
    )
    .option('--validate-every <n>', 'epochs from one validation to the next (default: 1)', NUMBER)
    .option(
      '--evaluation-patches <n>',
      'patches per batch when whole slides are predicted (default: 16384)',
      NUMBER,
    )
    .addOption(streamAbove())
    .option(
      '--checkpoint-seconds <n>',
      'seconds from one checkpoint to the next (default: 30)',
      NUMBER,
    )
    .option(
      '--checkpoint-steps <n>',
      'steps from one checkpoint to the next (default: by time only)',
      NUMBER,
    )
    .option(
      '--seed <n>',
      'decides initial weights, data order, dropout and folds (default: 0)',
      NUMBER,
    )
    .option(
      '--set <model.option=value>',
      "a model's own option, or a training option for one model; repeatable",
      COLLECT,
    )
    .addOption(adapter())
    .option('--title <text>', "the report's title")
    .option('--resume', 'go on with the run in --out, with its options: no others are needed')
    .option('--quiet', 'print only warnings and errors')
    .option('--json', 'print the scores as JSON on standard output')
    .addHelpText(
      'after',
      `
Ctrl-C writes a checkpoint and says how to resume; a second Ctrl-C stops at once.
Options of the models, for --set (histograd train --model knn --set knn.k=50):
  direct-abmil        hidden, attention, gated, dropout
  direct-patch-level  hidden, dropout
  contrastive         hidden, attention, gated, dropout, geneHidden, geneDropout, temperature, k, weighting,
                      retrievalTemperature
  knn                 k, metric
  ridge               from, to`,
    )
    .action(async (flags: Record<string, unknown>) => {
      const { trainCommand } = await import('./train.ts');
      await trainCommand(flags);
    });
}

function extract(): Command {
  return command('extract', 'features of whole slides: one file per slide, ready for train')
    .argument(
      '<slides...>',
      'slides (.svs, .tif, .dcm, .jpg, .png), or folders of them, with their subfolders',
    )
    .requiredOption('--weights <file>', 'weights of the extractor: .safetensors, .pth, .pt or .bin')
    .requiredOption('--out <dir>', 'folder for the feature files')
    .option('--extractor <name>', 'which network the weights are for (default: found out)')
    .option('--mpp <x>', 'micrometres per pixel of the slides, where they do not say', NUMBER)
    .option('--tile-mpp <x>', 'micrometres per pixel of the tiles (default: 0.5, "20x")', NUMBER)
    .option(
      '--tile-size <n>',
      "side of the tiles in pixels (default: the extractor's, mostly 224)",
      NUMBER,
    )
    .option('--overlap <n>', 'pixels that neighbouring tiles share (default: 0)', NUMBER)
    .option('--edge <what>', 'tiles that reach over the edge: drop or pad (default: drop)')
    .option('--tissue <rule>', 'otsu, sequoia or none (default: otsu)')
    .option('--min-tissue <f>', 'least share of tissue in a tile (default: 0.2)', NUMBER)
    .option(
      '--selector <name>',
      'score tiles by shannon, ig, canny, dog, log, otsu or dexined (default: none)',
    )
    .option('--dexined-weights <file>', 'weights of DexiNed, for --selector dexined')
    .option(
      '--keep <rule>',
      'which scores to keep: sigmas:X, fraction:X, above:X or above-per-pixel:X',
    )
    .option('--stain <name>', 'stain normalisation: macenko or none (default: none)')
    .option('--batch-size <n>', 'tiles per pass through the network (default: 32)', NUMBER)
    .option(
      '--workers <n>',
      'threads that decode and score tiles; 0 does it in between (default: cores − 1)',
      NUMBER,
    )
    .option('--format <name>', "h5 (CLAM's layout) or safetensors (default: h5)")
    .option('--preview <dir>', 'also draw which tiles were kept, one SVG per slide')
    .addOption(adapter())
    .option('--quiet', 'print only warnings and errors')
    .addHelpText(
      'after',
      `
Finished slides are skipped, so that the same command goes on after an interruption.
The .dcm files of one DICOM series (resolutions, label, overview) are one slide: it is named by its folder if it has one to itself, else by
what its file names share (S1 of S1_0.dcm and S1_1.dcm), else by what is written on the glass (ContainerIdentifier).
Networks: resnet18, resnet34, resnet50, densenet121, vit-s16, uni, ctranspath, shufflenet, squeezenet, mobilenet (the last two also in
torchvision's form); the weights decide which.`,
    )
    .action(async (slides: string[], flags: Record<string, unknown>) => {
      const { extractCommand } = await import('./extract.ts');
      await extractCommand(slides, flags);
    });
}

function evaluate(): Command {
  return cohortOptions(
    command(
      'evaluate',
      'scores and report of a run folder again; or of a model on another labelled cohort',
    ),
  )
    .argument('[run]', 'run folder')
    .option(
      '--checkpoint <file>',
      "a model (a run's best.safetensors) to evaluate on --features and --expression",
    )
    .option('--out <dir>', 'folder for the report of --checkpoint')
    .addOption(streamAbove())
    .addOption(adapter())
    .option('--json', 'print the scores as JSON')
    .action(async (run: string | undefined, flags: Record<string, unknown>) => {
      const { evaluateCommand } = await import('./evaluate.ts');
      await evaluateCommand(run, flags);
    });
}

function predict(): Command {
  return command('predict', 'expression of new slides from a trained model')
    .requiredOption(
      '--checkpoint <file>',
      "the model: a run's <model>/<fold>/<genes>/best.safetensors",
    )
    .requiredOption('--features <dir>', 'folder of patch features, as for train')
    .requiredOption('--out <file>', 'CSV to write: slides x genes')
    .option('--dataset <name>', 'name of the array inside feature files that hold several')
    .option('--coords-columns', "features in HE2RNA's .npy layout")
    .option(
      '--genes <list>',
      'genes to write, with commas, or a file with one per line (default: all)',
    )
    .option(
      '--attention <dir>',
      'also write the attention of every patch, one CSV per slide: patch,x,y,weight',
    )
    .option(
      '--patches <dir>',
      'also write the expression of every patch for --genes, one .safetensors per slide',
    )
    .addOption(streamAbove())
    .addOption(adapter())
    .option('--quiet', 'print only warnings and errors')
    .action(async (flags: Record<string, unknown>) => {
      const { predictCommand } = await import('./predict.ts');
      await predictCommand(flags);
    });
}

function doctor(): Command {
  return command(
    'doctor',
    'which adapter is used and why, what it can do, and what would be faster',
  )
    .addOption(adapter())
    .option('--json', 'print the findings as JSON')
    .action(async (flags: Record<string, unknown>) => {
      const { doctorCommand } = await import('./doctor.ts');
      await doctorCommand(flags);
    });
}

function demo(): Command {
  return command('demo', 'train all models on a small simulated cohort and write a report')
    .option('--out <dir>', 'run folder to write; the cohort goes into <dir>-data', 'runs/demo')
    .addOption(adapter())
    .option('--quiet', 'print only warnings and errors')
    .action(async (flags: Record<string, unknown>) => {
      const { demoCommand } = await import('./demo.ts');
      await demoCommand(flags);
    });
}

function data(): Command {
  const stBags = command(
    'st-bags',
    'bags with bulk targets out of spatial transcriptomics, as input for train',
  )
    .requiredOption(
      '--source <dir>',
      'pack of sections: sections.json, genes.json, spots.csv, counts/, crops<side>/',
    )
    .requiredOption('--out <dir>', 'new folder to write')
    .requiredOption(
      '--window <k>',
      'side of a window in array units: k x k spots are a bag',
      NUMBER,
    )
    .option('--stride <n>', 'distance between windows (default: the window)', NUMBER)
    .option(
      '--min-spots <n>',
      'leave out windows with fewer spots (default: half of the fullest)',
      NUMBER,
    )
    .option('--min-counts <n>', 'leave out spots with fewer counts (default: 1)', NUMBER)
    .option('--genes <which>', 'all, or topN for the N of the highest mean count (default: all)')
    .option('--crops <folder>', "the pack's folder of tile crops (default: the largest)")
    .option('--sections <ids>', 'sections to use, with commas (default: all)')
    .option('--validation', 'keep one section or patient per fold for validation')
    .option('--seed <n>', 'draws the validation groups (default: 0)', NUMBER)
    .option('--quiet', 'print only warnings and errors')
    .action(async (flags: Record<string, unknown>) => {
      const { stBagsCommand } = await import('./st-bags.ts');
      await stBagsCommand(flags);
    });
  return command('data', 'make data sets').addCommand(stBags);
}
