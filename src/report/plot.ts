import * as Plot from '@observablehq/plot';
import { type Html, html, trusted } from './html.ts';

/** The document that plots are made in: linkedom's in Node, `window.document` in a browser. */
export type PlotDocument = NonNullable<Plot.PlotOptions['document']>;

/** The part of an SVG element that is used here, so that this file needs no DOM types. */
interface SvgElement {
  readonly outerHTML: string;
  setAttribute(name: string, value: string): void;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<SvgElement>;
}

/**
 * Colour-blind-safe (after Okabe & Ito), each with a contrast of at least 3:1 on white and on the dark page.
 * Written into the SVG as they are, so that a figure taken out of the page keeps its look.
 */
const PALETTE = [
  '#3a7fc4',
  '#d5622b',
  '#12906e',
  '#a964b8',
  '#a8851b',
  '#c8497c',
  '#4d9bb5',
  '#77808c',
] as const;
const DASHES = ['none', '6 3', '2 2'] as const;

/** Colour and dash of the i-th series: distinct for the first 24. */
export function seriesStyle(index: number): { colour: string; dash: string } {
  const cycle = Math.floor(index / PALETTE.length);
  return { colour: PALETTE[index % PALETTE.length]!, dash: DASHES[cycle % DASHES.length]! };
}

/** Opacity of the horizontal grid lines; the figures use `currentColor` for everything but data. */
export const GRID = { stroke: 'currentColor', strokeOpacity: 0.12, strokeWidth: 1 };
export const GUIDE = { stroke: 'currentColor', strokeOpacity: 0.65, strokeDasharray: '4 3' };

const GEOMETRY = [
  'd',
  'x',
  'y',
  'x1',
  'x2',
  'y1',
  'y2',
  'cx',
  'cy',
  'width',
  'height',
  'transform',
];

/** Width of a plot that fills the text column of the page, in CSS pixels. */
export const FULL_WIDTH = 840;
/** Room that the name of the reachable score needs on the right. */
export const REACHABLE_MARGIN = 70;

/** Renders a plot to an inline SVG that a screen reader announces as `title`. */
export function renderPlot(document: PlotDocument, title: string, options: Plot.PlotOptions): Html {
  const svg: SvgElement = Plot.plot({
    document,
    style: { fontSize: '11.5px', fontFamily: 'var(--sans, Helvetica, Arial, sans-serif)' },
    ...options,
  });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', title);
  // Hundredths of a pixel are enough; float64 digits would triple the size of the file.
  for (const element of svg.querySelectorAll('*')) {
    for (const name of GEOMETRY) {
      const value = element.getAttribute(name);
      if (value?.includes('.')) {
        element.setAttribute(
          name,
          value.replace(/-?\d+\.\d{3,}/g, (n) => String(Number(Number(n).toFixed(2)))),
        );
      }
    }
  }
  return trusted(svg.outerHTML);
}

/** Width that labels of the y axis need, from the mean advance of a sans-serif at this size. */
export function labelWidth(labels: readonly string[]): number {
  return 14 + 6.3 * Math.min(MAX_LABEL, Math.max(...labels.map((label) => label.length)));
}

const MAX_LABEL = 34;

/** Cuts labels that would push the plot off the page. */
export function shorten(label: string): string {
  return label.length <= MAX_LABEL ? label : `${label.slice(0, MAX_LABEL - 1)}…`;
}

/** Short labels of rows, kept distinct: a scale would merge the rows of two equal ones. */
export function shortLabels(labels: readonly string[]): string[] {
  const short = labels.map(shorten);
  return short.map((label, i) =>
    short.indexOf(label) === short.lastIndexOf(label) ? label : `${label} (${i + 1})`,
  );
}

/** A key above a figure: one swatch and name per series. */
export function legend(
  items: readonly { label: string; colour: string; dash?: string; mark: 'line' | 'dot' }[],
): Html {
  return html`<ul class="legend">${items.map(
    (item) =>
      html`<li><svg width="22" height="10" aria-hidden="true">${
        item.mark === 'line'
          ? html`<path d="M1,5H21" stroke="${item.colour}" stroke-width="2.2" stroke-dasharray="${item.dash ?? 'none'}"/>`
          : html`<circle cx="11" cy="5" r="4" fill="${item.colour}"/>`
      }</svg>${item.label}</li>`,
  )}</ul>`;
}

/** A dashed horizontal line at the reachable score, named at its right end. */
export function reachableMarks(reachable: number) {
  return [
    Plot.ruleY([reachable], GUIDE),
    Plot.text([reachable], {
      y: (y: number) => y,
      frameAnchor: 'right',
      text: () => `reachable\n${reachable.toFixed(2)}`,
      dx: 6,
      textAnchor: 'start',
      fill: 'currentColor',
      fillOpacity: 0.8,
    }),
  ];
}
