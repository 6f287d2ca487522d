/** `kernels-bench/report.html`: rooflines, times and history of all stored results, one file that loads nothing. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { type Html, html, trusted } from '../src/report/html.ts';
import {
  FULL_WIDTH,
  GRID,
  GUIDE,
  legend,
  type PlotDocument,
  renderPlot,
  seriesStyle,
} from '../src/report/plot.ts';
import { STYLES } from '../src/report/styles.ts';
import { type BenchResult, boundBy, floorOf, parseRun, type Run } from './run.ts';

/** @param folder kernels-bench @returns the page's path */
export function writeReport(folder: string): string {
  const results = join(folder, 'results');
  const runs = readdirSync(results)
    .filter((name) => name.endsWith('.json'))
    .map((name) => parseRun(readFileSync(join(results, name), 'utf8'), join(results, name)))
    .sort((a, b) => dateOf(a).localeCompare(dateOf(b)));
  const page = join(folder, 'report.html');
  writeFileSync(`${page}.tmp`, renderRuns(runs));
  renameSync(`${page}.tmp`, page);
  return page;
}

function renderRuns(runs: readonly Run[]): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const byAdapter = new Map<string, Run[]>();
  for (const run of runs) {
    const name = run.environment.adapter ?? 'adapter';
    byAdapter.set(name, [...(byAdapter.get(name) ?? []), run]);
  }
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>histograd: kernels against their ceilings</title>
<style>${trusted(STYLES)}</style>
</head>
<body>
<main>
<h1>Kernels against their ceilings</h1>
<p>Each kernel and training step, its least possible time on the adapter (operations over the multiply-add rate, or bytes over the
copy bandwidth, whichever is longer), and the share of it that was reached. Peers ran in turns with ours in one process. Medians.</p>
${[...byAdapter].map(([name, history]) => adapterSection(document, name, history))}
</main>
</body>
</html>`;
  return page.toString();
}

function adapterSection(document: PlotDocument, name: string, history: readonly Run[]): Html {
  const latest = history.at(-1)!;
  const { flops, bandwidth } = latest.ceilings;
  return html`<section>
<h2>${name}</h2>
<p>${dateOf(latest)}. Ceilings: ${(flops / 1e9).toFixed(1)} GFLOP/s float32, ${(bandwidth / 1e9).toFixed(1)} GB/s.</p>
${roofline(document, latest)}
${timesTable(latest)}
${history.length > 1 ? historyFigure(document, history) : ''}
</section>`;
}

function roofline(document: PlotDocument, { results, ceilings }: Run): Html {
  const points = results.map((result) => ({
    name: result.name,
    intensity: result.flops / result.bytes,
    rate: result.flops / result.timing.median / 1e9,
    colour: seriesStyle(boundBy(result, ceilings) === 'compute' ? 0 : 1).colour,
  }));
  const ridge = ceilings.flops / ceilings.bandwidth;
  const intensities = points.map(({ intensity }) => intensity);
  const [low, high] = [Math.min(...intensities) / 2, Math.max(...intensities, ridge) * 2];
  const roof = [low, Math.max(low, ridge), high].map((intensity) => ({
    intensity,
    rate: Math.min(ceilings.flops, intensity * ceilings.bandwidth) / 1e9,
  }));
  const plot = renderPlot(document, 'Roofline: rate over arithmetic intensity', {
    width: FULL_WIDTH,
    height: 420,
    marginLeft: 60,
    marginRight: 150,
    x: { type: 'log', label: 'operations per byte →' },
    y: { type: 'log', label: '↑ GFLOP/s' },
    marks: [
      Plot.gridY(GRID),
      Plot.line(roof, { x: 'intensity', y: 'rate', ...GUIDE }),
      Plot.dot(points, { x: 'intensity', y: 'rate', fill: 'colour', r: 4 }),
      Plot.text(points, {
        x: 'intensity',
        y: 'rate',
        text: 'name',
        dx: 7,
        textAnchor: 'start',
        fill: 'currentColor',
        fontSize: 10,
      }),
    ],
  });
  const key = legend([
    { label: 'bound by compute', colour: seriesStyle(0).colour, mark: 'dot' },
    { label: 'bound by memory', colour: seriesStyle(1).colour, mark: 'dot' },
  ]);
  return html`<figure>${key}${plot}<figcaption>Dashed: what the ceilings allow.</figcaption></figure>`;
}

function timesTable({ results, ceilings }: Run): Html {
  const peers = [...new Set(results.flatMap((result) => Object.keys(result.peers)))];
  const row = (result: BenchResult) => {
    const { median, first } = result.timing;
    const share = (100 * floorOf(result, ceilings)) / median;
    return html`<tr><th scope="row">${result.name}</th><td>${milliseconds(median)}</td><td>${milliseconds(first)}</td>
<td>${share.toFixed(0)} %</td><td>${boundBy(result, ceilings)}</td><td>${String(result.dispatches)}</td><td>${megabytes(result.peakBytes)}</td>
${peers.map((peer) => {
  const other = result.peers[peer]?.median;
  return html`<td>${other === undefined ? '' : `${milliseconds(other)} (${(other / median).toFixed(1)}×)`}</td>`;
})}</tr>`;
  };
  return html`<div class="scroll"><table>
<thead><tr><th scope="col">Work</th><th scope="col">Median, ms</th><th scope="col">First use, ms</th><th scope="col">Of the floor</th>
<th scope="col">Bound by</th><th scope="col">Dispatches</th><th scope="col">Peak, MB</th>${peers.map((peer) => html`<th scope="col">${peer}, ms</th>`)}</tr></thead>
<tbody>${results.map(row)}</tbody></table></div>`;
}

function historyFigure(document: PlotDocument, history: readonly Run[]): Html {
  const points = history.flatMap((run) =>
    run.results.map((result) => ({
      date: new Date(dateOf(run)),
      name: result.name,
      share: (100 * floorOf(result, run.ceilings)) / result.timing.median,
    })),
  );
  const names = [...new Set(points.map(({ name }) => name))];
  const plot = renderPlot(document, 'Share of the floor over time', {
    width: FULL_WIDTH,
    height: 320,
    x: { label: null },
    y: { label: '↑ % of the floor', domain: [0, 100] },
    marks: [
      Plot.gridY(GRID),
      names.map((name, i) =>
        Plot.lineY(
          points.filter((point) => point.name === name),
          { x: 'date', y: 'share', stroke: seriesStyle(i).colour, marker: true },
        ),
      ),
    ],
  });
  const key = legend(
    names.map((label, i) => ({ label, colour: seriesStyle(i).colour, mark: 'line' })),
  );
  return html`<figure>${key}${plot}<figcaption>Share of the floor, run by run.</figcaption></figure>`;
}

function dateOf(run: Run): string {
  return run.environment.date ?? '';
}

function milliseconds(seconds: number): string {
  const ms = 1000 * seconds;
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(0);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
