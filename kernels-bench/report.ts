/** `kernels-bench/report.html`: the latest results of each adapter and their history, one file that loads nothing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseHTML } from 'linkedom';
import { type Html, html, trusted } from '../src/report/html.ts';
import type { PlotDocument } from '../src/report/plot.ts';
import { STYLES } from '../src/report/styles.ts';
import type { ExtractionRun } from './extraction-run.ts';
import type { LadderRun } from './ladders/climb.ts';
import { withMeasured } from './ladders/measured.ts';
import type { PatchRun } from './patches.ts';
import { historyTable } from './report-history.ts';
import { peersFigure, rooflineFigure, shareFigure } from './report-kernels.ts';
import { patchesFigure, patchesSvg, patchesTable } from './report-patches.ts';
import { settingTable } from './report-setting.ts';
import {
  dispatchTable,
  extractionTable,
  kernelTable,
  ladderTable,
  stepTable,
} from './report-tables.ts';
import { tuningSection } from './report-tunings.ts';
import { isStep, type Run } from './run.ts';
import { type AdapterResults, byDate, readResults } from './stored.ts';

/** The page, the figures that others show as well, and the essays with their tables, by file name. @param folder kernels-bench */
export function renderReport(folder: string): Map<string, string> {
  const results = join(folder, 'results');
  const adapters = readResults(results);
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
over the copy bandwidth, whichever is longer), and the share of the floor that was reached. Both ceilings are measured in the same run.
Peers take turns with ours, round by round; where each of them runs is said beside its name. Times are medians.</p>
${adapters.map((adapter) => adapterSection(document, adapter))}
${tuningSection(join(results, 'tunings'))}
</main>
</body>
</html>`;
  const files = new Map([['report.html', page.html]]);
  const latest = adapters
    .flatMap(({ patches }) => patches)
    .sort(byDate)
    .at(-1);
  if (latest) files.set('patches.svg', patchesSvg(document, latest));
  for (const [name, text] of essays(folder, adapters)) files.set(name, text);
  return files;
}

/** The essays of the ladders, with the latest times of each adapter. */
function essays(folder: string, adapters: readonly AdapterResults[]): [string, string][] {
  const latest = adapters.flatMap(({ ladders }) => latestLadders(ladders));
  if (!existsSync(join(folder, 'ladders'))) return [];
  return readdirSync(join(folder, 'ladders'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => {
      const name = `ladders/${file}`;
      const runs = latest.filter(({ id }) => `${id}.md` === file);
      return [name, withMeasured(readFileSync(join(folder, name), 'utf8'), runs, name)];
    });
}

function latestLadders(ladders: readonly LadderRun[]): LadderRun[] {
  return [...new Map(ladders.map((run) => [run.id, run])).values()];
}

/** Tables are wider here than in the report of a training. */
const OWN_STYLES = `
main { max-width: 1320px; }
th, td { padding: .3rem .42rem; }
td { white-space: nowrap; }
thead th.prose { text-align: left; }
tbody th { min-width: 11rem; }
.list th { width: 24%; min-width: 6.5rem; }
td.prose { white-space: normal; text-align: left; min-width: 20rem; }
.list td { white-space: normal; }
td .spread { font-size: .76rem; }
.sparkline { vertical-align: middle; }
`;

function adapterSection(document: PlotDocument, adapter: AdapterResults): Html {
  const { name, runs, extractions, ladders, patches, dispatches } = adapter;
  const sections = [
    runs.length > 0 ? kernelSections(document, runs) : '',
    ladders.length > 0 ? ladderSection(ladders) : '',
    extractions.length > 0 ? extractionSection(extractions) : '',
    dispatches.length > 0
      ? html`<h3>Cost of a dispatch</h3>${dispatchTable(dispatches.at(-1)!)}`
      : '',
    patches.length > 0 ? patchesSection(document, patches.at(-1)!) : '',
  ];
  return html`<section><h2>${name}</h2>${sections}</section>`;
}

function kernelSections(document: PlotDocument, runs: readonly Run[]): Html {
  const latest = runs.at(-1)!;
  const kernels = latest.results.filter((result) => !isStep(result));
  const steps = latest.results.filter(isStep);
  return html`${settingTable(latest)}
<h3>Kernels</h3>
${kernelTable(kernels, latest)}
${shareFigure(document, latest)}
${peersFigure(document, kernels)}
${rooflineFigure(document, latest)}
${steps.length > 0 ? html`<h3>Training steps</h3>${stepTable(steps, latest)}` : ''}
${runs.length > 1 ? html`<h3>History</h3>${historyTable(runs)}` : ''}`;
}

function ladderSection(ladders: readonly LadderRun[]): Html {
  return html`<h3>Ladders: how the kernels came to be</h3>
<p>The versions of a kernel from the plain one up, timed in turns; the last is what the product runs. The essays are in
<code>kernels-bench/ladders/</code>.</p>
${latestLadders(ladders).map(ladderTable)}`;
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
GPU at once, or streamed in pieces of ${run.piece.toLocaleString('en')}, with the same gradient. Uploads count, drawing the numbers does not.</p>
${patchesFigure(document, run)}
${patchesTable(run)}`;
}
