import * as Plot from '@observablehq/plot';
import { type Html, html } from '../src/report/html.ts';
import {
  FULL_WIDTH,
  GRID,
  GUIDE,
  legend,
  type PlotDocument,
  renderPlot,
  seriesStyle,
} from '../src/report/plot.ts';
import { peerNames } from './report-tables.ts';
import { type BenchResult, boundBy, floorOf, type Run, workSeconds } from './run.ts';

const [COMPUTE, MEMORY] = [seriesStyle(0).colour, seriesStyle(1).colour];
/** Room for the names of benches, in pixels. */
const NAMES = 360;
const ROW = 19;

const boundKey = () =>
  legend([
    { label: 'bound by compute', colour: COMPUTE, mark: 'dot' },
    { label: 'bound by memory', colour: MEMORY, mark: 'dot' },
  ]);

const colourOf = (result: BenchResult, ceilings: Run['ceilings']) =>
  boundBy(result, ceilings) === 'compute' ? COMPUTE : MEMORY;

/** How much of the floor each reaches, one bar each. */
export function shareFigure(document: PlotDocument, { results, ceilings }: Run): Html {
  const bars = results.map((result) => ({
    name: result.name,
    share: (100 * floorOf(result, ceilings)) / workSeconds(result),
    colour: colourOf(result, ceilings),
  }));
  const plot = renderPlot(document, 'Share of the floor that each kernel and step reaches', {
    width: FULL_WIDTH,
    height: 74 + ROW * bars.length,
    marginLeft: NAMES,
    marginRight: 40,
    marginBottom: 44,
    x: { domain: [0, 100], label: '% of the floor', labelAnchor: 'center', labelArrow: 'none' },
    y: { domain: bars.map(({ name }) => name), label: null },
    marks: [
      Plot.gridX(GRID),
      Plot.barX(bars, { x: 'share', y: 'name', fill: 'colour', insetTop: 3, insetBottom: 3 }),
      Plot.text(bars, {
        x: 'share',
        y: 'name',
        text: ({ share }) => share.toFixed(0),
        dx: 4,
        textAnchor: 'start',
        fill: 'currentColor',
      }),
    ],
  });
  return html`<figure>${boundKey()}${plot}<figcaption>Share of the floor: of what the ceilings of this adapter allow. Only the spread of the measurement goes beyond 100 %; they do not bound what runs on the same cores without the adapter.</figcaption></figure>`;
}

const RATIOS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];

/** Peers' times over ours, on a logarithmic axis. */
export function peersFigure(
  document: PlotDocument,
  results: readonly BenchResult[],
): Html | string {
  const peers = peerNames(results).filter((peer) => !peer.endsWith('CPU'));
  const points = results.flatMap((result) =>
    peers.flatMap((peer, i) => {
      const time = result.peers[peer]?.median;
      const ratio = time && time / result.timing.median;
      return ratio ? [{ name: result.name, ratio, colour: seriesStyle(i + 2).colour }] : [];
    }),
  );
  if (points.length === 0) return '';
  const names = [...new Set(points.map(({ name }) => name))];
  const ratios = points.map(({ ratio }) => ratio);
  const domain = [Math.min(0.5, ...ratios) / 1.3, Math.max(2, ...ratios) * 1.3];
  const plot = renderPlot(document, 'Times of the peers over ours', {
    width: FULL_WIDTH,
    height: 74 + ROW * names.length,
    marginLeft: NAMES,
    marginRight: 40,
    marginBottom: 44,
    x: {
      type: 'log',
      domain,
      label: 'time of the peer / ours',
      labelAnchor: 'center',
      labelArrow: 'none',
      tickFormat: (ratio: number) => `${ratio}×`,
      ticks: RATIOS.filter((ratio) => ratio >= domain[0]! && ratio <= domain[1]!),
    },
    y: { domain: names, label: null },
    marks: [
      Plot.gridY(GRID),
      Plot.ruleX([1], GUIDE),
      Plot.dot(points, { x: 'ratio', y: 'name', fill: 'colour', r: 4.5 }),
    ],
  });
  const key = legend(
    peers.map((label, i) => ({ label, colour: seriesStyle(i + 2).colour, mark: 'dot' })),
  );
  return html`<figure>${key}${plot}<figcaption>Right of the dashed line the peer is slower than histograd, left of it faster.</figcaption></figure>`;
}

const LOG = {
  type: 'log',
  labelAnchor: 'center',
  labelArrow: 'none',
  ticks: 4,
  tickFormat: String,
} as const;

/** Rate over arithmetic intensity; dots are numbered as in the key, names would cover each other. */
export function rooflineFigure(document: PlotDocument, { results, ceilings }: Run): Html {
  const points = results.map((result, i) => ({
    number: String(i + 1),
    intensity: result.flops / result.bytes,
    rate: result.flops / workSeconds(result) / 1e9,
    colour: colourOf(result, ceilings),
  }));
  const ridge = ceilings.flops / ceilings.bandwidth;
  const intensities = points.map(({ intensity }) => intensity);
  const [low, high] = [Math.min(...intensities, ridge) / 2, Math.max(...intensities, ridge) * 2];
  const roof = [low, ridge, high].map((intensity) => ({
    intensity,
    rate: Math.min(ceilings.flops, intensity * ceilings.bandwidth) / 1e9,
  }));
  const plot = renderPlot(document, 'Roofline: rate over arithmetic intensity', {
    width: FULL_WIDTH,
    height: 420,
    marginLeft: 60,
    marginBottom: 44,
    x: { ...LOG, label: 'operations per byte' },
    y: { ...LOG, label: 'GFLOP/s' },
    marks: [
      Plot.gridX({ ...GRID, ticks: 4 }),
      Plot.gridY({ ...GRID, ticks: 4 }),
      Plot.line(roof, { x: 'intensity', y: 'rate', ...GUIDE }),
      Plot.dot(points, { x: 'intensity', y: 'rate', fill: 'colour', r: 4 }),
      Plot.text(points, {
        x: 'intensity',
        y: 'rate',
        text: 'number',
        dx: 6,
        dy: -6,
        textAnchor: 'start',
        fill: 'currentColor',
      }),
    ],
  });
  const names = results.map(({ name }, i) => `${i + 1} ${name}`).join('; ');
  return html`<figure>${boundKey()}${plot}<figcaption>Roofline. Dashed: what the ceilings allow. ${names}.</figcaption></figure>`;
}
