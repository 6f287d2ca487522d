import * as Plot from '@observablehq/plot';
import { formatInteger, formatSignificant } from '../src/report/format.ts';
import { type Html, html } from '../src/report/html.ts';
import { GRID, legend, type PlotDocument, renderPlot, seriesStyle } from '../src/report/plot.ts';
import { exponentOf, type PatchPoint, type PatchRun } from './patches.ts';
import { table } from './report-tables.ts';
import { commitOf, moment } from './stored.ts';

const SERIES = [
  { mode: 'whole', label: 'the whole slide at once', colour: seriesStyle(1).colour },
  { mode: 'streamed', label: 'streamed in pieces', colour: seriesStyle(0).colour },
] as const;

/** Of each panel, in pixels. */
const [WIDTH, HEIGHT] = [470, 320];
/** The legend's line in a file of its own. */
const HEAD = 34;

/** Time and memory of a training step over the patches of the slide. */
export function patchesFigure(document: PlotDocument, run: PatchRun): Html {
  const key = legend(SERIES.map(({ label, colour }) => ({ label, colour, mark: 'line' })));
  return html`<figure>${key}<div class="panels">${panels(document, run).map((plot) => html`<div class="panel">${plot}</div>`)}</div>
<figcaption>Both axes are logarithmic: a straight line of slope 1 is cost in proportion to the patches, a level line is bounded memory.</figcaption></figure>`;
}

/** Every point, with the time per patch: it shows what the logarithmic axes hide. */
export function patchesTable(run: PatchRun): Html {
  const row = ({ patches, mode, seconds, steps, peakBytes }: PatchPoint) =>
    html`<tr><th scope="row">${patches.toLocaleString('en')}</th><td>${mode}</td><td>${formatSignificant(seconds.median)}</td><td>${[seconds.least, seconds.most].map(formatSignificant).join(' … ')}</td>
<td>${String(steps)}</td><td>${formatSignificant((1e6 * seconds.median) / patches)}</td><td>${formatInteger(peakBytes / 1e6)}</td></tr>`;
  return table(
    [
      'Patches',
      'Slide',
      'A step, s',
      'Shortest … longest',
      'Steps',
      'ms per 1,000 patches',
      'Peak, MB',
    ],
    run.points.map(row),
    `Medians. ${growth(run)} Below, what does not depend on the patches counts: the optimiser, and the dispatches. ${moment(run)}, commit ${commitOf(run)}; tuning ${run.environment.tuning ?? 'not recorded'}; Dawn toggles ${run.environment.toggles ?? 'not recorded'}.`,
  );
}

/** How time grows, as a sentence. */
export function growth({ points }: PatchRun): string {
  const said = SERIES.flatMap(({ mode }) => {
    const own = points.filter((point) => point.mode === mode);
    const large = own.filter(({ patches }) => patches >= LARGE);
    if (own.length < 2) return [];
    const upper = large.length > 1 && large.length < own.length;
    const exponent = (some: readonly PatchPoint[]) => exponentOf(some).toFixed(2);
    return [
      `${mode} ${exponent(own)}${upper ? ` (${exponent(large)} from ${formatInteger(LARGE)} on)` : ''}`,
    ];
  });
  if (said.length === 0) return '';
  return `Time grows as patches to the power of: ${said.join(', ')}; least squares of the logarithms, 1 is in proportion.`;
}

/** From here on the patches cost far more than all that does not depend on them. */
const LARGE = 10_000;

/** The same as an SVG file, for other pages. */
export function patchesSvg(document: PlotDocument, run: PatchRun): string {
  const key = SERIES.map(
    ({ label, colour }, i) =>
      `<g transform="translate(${62 + 220 * i},20)"><path d="M0,-4H22" stroke="${colour}" stroke-width="2.2"/><text x="30">${label}</text></g>`,
  );
  const placed = panels(document, run).map(
    (plot, i) =>
      `<svg x="${WIDTH * i}" y="${HEAD}" width="${WIDTH}" height="${HEIGHT}">${plot.html}</svg>`,
  );
  const [width, height] = [2 * WIDTH, HEAD + HEIGHT];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" color="#1b1e23" font-family="Helvetica, Arial, sans-serif" font-size="11.5">
<title>Cost of a training step over patches per slide</title><rect width="100%" height="100%" fill="#fff"/>
${[...key, ...placed].join('\n')}
</svg>
`;
}

function panels(document: PlotDocument, { points }: PatchRun): Html[] {
  return [
    panel(document, points, 'Time of a step, s', ({ seconds }) => seconds.median),
    panel(document, points, 'Peak GPU memory, MB', ({ peakBytes }) => peakBytes / 1e6),
  ];
}

function panel(
  document: PlotDocument,
  points: readonly PatchPoint[],
  label: string,
  value: (point: PatchPoint) => number,
): Html {
  const values = points.map(value);
  const log = { type: 'log', labelAnchor: 'center', labelArrow: 'none' } as const;
  return renderPlot(document, `${label}, over patches per slide`, {
    width: WIDTH,
    height: HEIGHT,
    marginLeft: 62,
    marginBottom: 42,
    x: {
      ...log,
      label: 'patches per slide',
      ticks: [1e3, 1e4, 1e5, 1e6],
      tickFormat: (n: number) => n.toLocaleString('en'),
    },
    y: {
      ...log,
      label,
      domain: [Math.min(...values) / 1.6, Math.max(...values) * 1.6],
      ticks: 5,
      tickFormat: '~s',
    },
    marks: [
      Plot.gridY({ ...GRID, ticks: 5 }),
      SERIES.map(({ mode, colour }) =>
        Plot.line(
          points.filter((point) => point.mode === mode),
          { x: 'patches', y: value, stroke: colour, strokeWidth: 2, marker: 'dot' },
        ),
      ),
    ],
  });
}
