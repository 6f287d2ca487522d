/** A live line chart over epochs (uPlot), in the theme's colours. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Series {
  readonly label: string;
  /** Custom property that holds the colour. */
  readonly token: `--series-${1 | 2}`;
  /** One per epoch; null where it is not known. */
  readonly values: readonly (number | null)[];
}

interface ChartOptions {
  readonly axis: string;
  readonly epochs: number;
  readonly x: readonly number[];
  readonly series: readonly Series[];
}

const HEIGHT = 220;
const FONT = '12px system-ui, sans-serif';

export class LineChart {
  readonly #place: HTMLElement;
  readonly #plot: uPlot;
  readonly #resize: ResizeObserver;
  readonly #colours = new Map<string, string>();

  constructor(place: HTMLElement, { axis, epochs, x, series }: ChartOptions) {
    this.#place = place;
    const line = { stroke: () => this.#colour('--soft'), font: FONT, labelFont: FONT };
    const grid = { stroke: () => this.#colour('--grid'), width: 1 };
    this.#plot = new uPlot(
      {
        width: place.clientWidth || 480,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: { time: false, range: [0, Math.max(1, epochs)] } },
        axes: [
          { ...line, label: 'Epoch', labelSize: 22, size: 34, grid, ticks: grid, incrs: WHOLE },
          {
            ...line,
            label: axis,
            labelSize: 22,
            size: 52,
            grid,
            ticks: grid,
            values: (_, ticks) => ticks.map(tickLabel),
          },
        ],
        series: [
          { label: 'Epoch' },
          ...series.map(({ label, token }) => ({
            label,
            stroke: () => this.#colour(token),
            width: 2,
            dash: token === '--series-2' && series.length > 1 ? [6, 3] : undefined,
            // One or two points make no line yet.
            points: {
              show: ({ data }: uPlot) => data[0].length < 3,
              fill: () => this.#colour(token),
            },
            spanGaps: true,
          })),
        ],
      },
      aligned(x, series),
      place,
    );
    this.#resize = new ResizeObserver(() => {
      if (place.clientWidth > 0) this.#plot.setSize({ width: place.clientWidth, height: HEIGHT });
    });
    this.#resize.observe(place);
  }

  update(x: readonly number[], series: readonly Series[]): void {
    this.#plot.setData(aligned(x, series));
  }

  /** The theme changed. */
  recolour(): void {
    this.#colours.clear();
    this.#plot.redraw(false, true);
  }

  destroy(): void {
    this.#resize.disconnect();
    this.#plot.destroy();
  }

  /** Custom properties hold `light-dark(…)`; only a real property computes it. Kept, since asking lays out the page. */
  #colour(token: string): string {
    const known = this.#colours.get(token);
    if (known !== undefined) return known;
    this.#place.style.color = `var(${token})`;
    const { color } = getComputedStyle(this.#place);
    this.#place.style.removeProperty('color');
    this.#colours.set(token, color);
    return color;
  }
}

/** Steps between epoch ticks. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/** As short as the steps between ticks allow. */
const tickLabel = (value: number): string => String(Number(value.toPrecision(6))).replace('-', '−');

function aligned(x: readonly number[], series: readonly Series[]): uPlot.AlignedData {
  return [[...x], ...series.map(({ values }) => [...values])];
}
