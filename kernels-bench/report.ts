/** `kernels-bench/report.html`: the latest results of each adapter and their history, one file that loads nothing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseHTML } from 'linkedom';
import { type Html, html, trusted } from '../src/report/html.ts';
import type { PlotDocument } from '../src/report/plot.ts';
import { STYLES } from '../src/report/styles.ts';
import { type ExtractionRun, parseExtractionRun } from './extraction-run.ts';
import { type LadderRun, parseLadderRun } from './ladders/climb.ts';
import { type PatchRun, parsePatchRun } from './patches.ts';
import { historyFigure, peersFigure, rooflineFigure, shareFigure } from './report-kernels.ts';
import { patchesFigure, patchesSvg } from './report-patches.ts';
import { extractionTable, kernelTable, ladderTable, stepTable } from './report-tables.ts';
import { isStep, parseRun, type Run } from './run.ts';

interface Stored {
  readonly environment: Readonly<Record<string, string>>;
}

/** All that is known of one adapter, the oldest first. */
interface Adapter {
  readonly name: string;
  readonly runs: Run[];
  readonly extractions: ExtractionRun[];
  readonly ladders: LadderRun[];
  readonly patches: PatchRun[];
}

/** The page, and the figures that others show as well, by file name. @param folder kernels-bench */
export function renderReport(folder: string): Map<string, string> {
  const results = join(folder, 'results');
  const adapters = new Map<string, Adapter>();
  const of = ({ environment }: Stored): Adapter => {
    const name = environment.adapter ?? 'adapter';
    const known = adapters.get(name) ?? {
      name,
      runs: [],
      extractions: [],
      ladders: [],
      patches: [],
    };
    adapters.set(name, known);
    return known;
  };
  for (const run of resultsIn(results, parseRun)) of(run).runs.push(run);
  for (const run of resultsIn(join(results, 'extraction'), parseExtractionRun))
    of(run).extractions.push(run);
  for (const run of resultsIn(join(results, 'ladders'), parseLadderRun)) of(run).ladders.push(run);
  for (const run of resultsIn(join(results, 'patches'), parsePatchRun)) of(run).patches.push(run);

  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>histograd: kernels against their ceilings</title>
<style>${trusted(STYLES)}${trusted(OWN_STYLES)}</style>
</head>
<body>
<main>
<h1>Kernels against their ceilings</h1>
<p>Each kernel and training step, the least time it can take on the adapter (its floor: operations over the multiply-add rate, or bytes
over the copy bandwidth, whichever is longer), and the share of the floor that was reached. Peers ran in turns with ours in one
process on the same adapter. Times are medians.</p>
${[...adapters.values()].map((adapter) => adapterSection(document, adapter))}
</main>
</body>
</html>`;
  const files = new Map([['report.html', page.html]]);
  const latest = [...adapters.values()]
    .flatMap(({ patches }) => patches)
    .sort(byDate)
    .at(-1);
  if (latest) files.set('patches.svg', patchesSvg(document, latest));
  return files;
}

/** Tables are wider here than in the report of a training. */
const OWN_STYLES = `
main { max-width: 1180px; }
td { white-space: nowrap; }
tbody th { min-width: 14rem; }
td.prose { white-space: normal; text-align: left; min-width: 22rem; }
`;

/** The results in a folder, the oldest first; none where there is no folder. */
function resultsIn<T extends Stored>(
  folder: string,
  parse: (text: string, file: string) => T,
): T[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => parse(readFileSync(join(folder, name), 'utf8'), join(folder, name)))
    .sort(byDate);
}

function adapterSection(document: PlotDocument, adapter: Adapter): Html {
  const { name, runs, extractions, ladders, patches } = adapter;
  const sections = [
    runs.length > 0 ? kernelSections(document, runs) : '',
    ladders.length > 0 ? ladderSection(ladders) : '',
    extractions.length > 0 ? extractionSection(extractions) : '',
    patches.length > 0 ? patchesSection(document, patches.at(-1)!) : '',
  ];
  return html`<section><h2>${name}</h2>${sections}</section>`;
}

function kernelSections(document: PlotDocument, runs: readonly Run[]): Html {
  const latest = runs.at(-1)!;
  const { flops, bandwidth } = latest.ceilings;
  const { cpu, node } = latest.environment;
  const kernels = latest.results.filter((result) => !isStep(result));
  const steps = latest.results.filter(isStep);
  return html`<p>${day(latest)}; ${cpu ?? ''}, Node ${node ?? ''}. Ceilings: ${(flops / 1e9).toFixed(1)} GFLOP/s float32,
${(bandwidth / 1e9).toFixed(1)} GB/s. Kernels as tuned for a ${latest.tuning === 'gpu' ? 'GPU' : 'CPU rasteriser'}; robustness and validation on.</p>
<h3>Kernels</h3>
${kernelTable(kernels, latest.ceilings)}
${shareFigure(document, latest)}
${peersFigure(document, kernels)}
${rooflineFigure(document, latest)}
${steps.length > 0 ? html`<h3>Training steps</h3>${stepTable(steps, latest.ceilings)}` : ''}
${runs.length > 1 ? historyFigure(document, runs) : ''}`;
}

function ladderSection(runs: readonly LadderRun[]): Html {
  const latest = new Map(runs.map((run) => [run.id, run]));
  return html`<h3>Ladders: how the kernels came to be</h3>
<p>The versions of a kernel from the plain one up, timed in turns; the last is what the product runs. The essays are in
<code>kernels-bench/ladders/</code>.</p>
${[...latest.values()].map(ladderTable)}`;
}

function extractionSection(runs: readonly ExtractionRun[]): Html {
  const latest = new Map(runs.map((run) => [run.network, run]));
  return html`<h3>Extraction: from slide to features</h3>
<p>Tiles per second when only decoding, when only computing, and with both overlapped as <code>histograd extract</code> does it; then the network
alone, one batch from memory to memory, beside onnxruntime with the same weights. A runtime whose embeddings differ by more than 1e-3 is not timed.</p>
${extractionTable([...latest.values()])}`;
}

function patchesSection(document: PlotDocument, run: PatchRun): Html {
  return html`<h3>Cost against patches</h3>
<p>One training step of Direct-ABMIL (${String(run.width)} features, ${run.genes.toLocaleString('en')} genes) on a slide of 10³ to 10⁶ patches: all of them on the
GPU at once, or streamed in pieces of ${run.piece.toLocaleString('en')}, with the same gradient. ${day(run)}.</p>
${patchesFigure(document, run)}`;
}

function dateOf({ environment }: Stored): string {
  return environment.date ?? '';
}

const byDate = (a: Stored, b: Stored) => dateOf(a).localeCompare(dateOf(b));

const day = (run: Stored) => dateOf(run).slice(0, 10);
