/** Predicted against measured, one point per scored sample; points and map select each other. */
import { useMemo, useState } from 'preact/hooks';
import { formatCount, formatFixed, formatSignificant } from '../../report/format.ts';
import type { GeneScatter, GeneScore } from '../protocol.ts';
import { regression } from './regression.ts';
import { type Axis, byObserved, nearestSample, scatterAxis } from './scatter-scale.ts';

export interface ScatterProps {
  readonly scatter: GeneScatter;
  readonly score: GeneScore | undefined;
  readonly unit: string;
  readonly noun: 'slide' | 'spot';
  /** Of the slide that is shown: its samples stand out. */
  readonly slide: number;
  /** The sample chosen on the map; -1 for none. */
  readonly selected: number;
  readonly onSelect: (sample: number) => void;
}

const SIDE = 260;
const LEFT = 52;
const TOP = 10;
const WIDTH = LEFT + SIDE + 10;
const HEIGHT = TOP + SIDE + 46;
/** Points of one path do not darken each other where they overlap; so they are spread over several. */
const PATHS = 6;
/** Up to so many samples the points are large, beyond so many small. */
const FEW = 60;
const MANY = 2000;

export function Scatter(props: ScatterProps) {
  const { scatter, score, unit, noun, slide, selected, onSelect } = props;
  const [hovered, setHovered] = useState(-1);
  const axis = useMemo(() => scatterAxis(scatter), [scatter]);
  const order = useMemo(() => byObserved(scatter), [scatter]);
  const paths = useMemo(() => pointPaths(scatter, axis, slide), [scatter, axis, slide]);
  const fit = useMemo(() => regression(scatter.observed, scatter.predicted), [scatter]);
  const n = scatter.samples.length;
  if (n === 0) return null;
  const shown = hovered >= 0 && hovered < n ? hovered : selected;
  const x = (value: number) => LEFT + ((value - axis.low) / (axis.high - axis.low)) * SIDE;
  const y = (value: number) => TOP + SIDE - ((value - axis.low) / (axis.high - axis.low)) * SIDE;

  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const at = shown < 0 ? -step : order.indexOf(shown);
      setHovered(order[Math.min(n - 1, Math.max(0, at + step))]!);
    } else if (event.key === 'Enter' && shown >= 0) onSelect(shown);
    else if (event.key === 'Escape') setHovered(-1);
  };
  const under = (event: MouseEvent & { currentTarget: SVGSVGElement }) => {
    const box = event.currentTarget.getBoundingClientRect();
    const scale = WIDTH / box.width;
    const px = ((event.clientX - box.left) * scale - LEFT) / SIDE;
    const py = (TOP + SIDE - (event.clientY - box.top) * scale) / SIDE;
    return nearestSample(scatter, axis, px, py, 12 / SIDE);
  };
  const r = score?.pearson ?? Number.NaN;
  const summary =
    `Predicted against measured ${scatter.gene} of ${formatCount(n, noun)}` +
    (Number.isNaN(r) ? '' : `, Pearson’s r ${formatFixed(r, 2)}`);
  return (
    <figure class="see-scatter">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="application"
        aria-roledescription="scatter plot"
        aria-label={`${summary}. Arrow keys go through the ${noun}s, Enter shows one on the map.`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: its points are walked through with arrow keys
        tabIndex={0}
        onKeyDown={onKeyDown}
        onBlur={() => setHovered(-1)}
        onPointerMove={(event) => setHovered(under(event))}
        onPointerLeave={() => setHovered(-1)}
        onClick={(event) => {
          const sample = under(event);
          if (sample >= 0) onSelect(sample);
        }}
      >
        <title>{summary}</title>
        <clipPath id="see-scatter-clip">
          <rect x={LEFT} y={TOP} width={SIDE} height={SIDE} />
        </clipPath>
        <g class="grid">
          {axis.ticks.map(({ value, label }) => (
            <g key={value}>
              <path d={`M${x(value)} ${TOP}v${SIDE}M${LEFT} ${y(value)}h${SIDE}`} />
              <text x={x(value)} y={TOP + SIDE + 15} text-anchor="middle">
                {label}
              </text>
              <text x={LEFT - 6} y={y(value) + 4} text-anchor="end">
                {label}
              </text>
            </g>
          ))}
        </g>
        <g
          clip-path="url(#see-scatter-clip)"
          class={n <= FEW ? 'few' : ''}
          stroke-width={n <= FEW ? 9 : n <= MANY ? 6 : 4}
        >
          <path class="identity" d={`M${LEFT} ${TOP + SIDE}l${SIDE} ${-SIDE}`} />
          {paths.others.map((d, i) => (
            <path key={i} class="points others" d={d} />
          ))}
          {paths.here.map((d, i) => (
            <path key={i} class="points here" d={d} />
          ))}
          {fit && (
            <path
              class="fit"
              d={`M${LEFT} ${y(fit.slope * axis.low + fit.intercept)}L${LEFT + SIDE} ${y(fit.slope * axis.high + fit.intercept)}`}
            />
          )}
          {shown >= 0 && (
            <circle
              class="chosen"
              cx={x(scatter.observed[shown]!)}
              cy={y(scatter.predicted[shown]!)}
              r={n <= FEW ? 8 : 6}
            />
          )}
        </g>
        <text class="axis" x={LEFT + SIDE / 2} y={HEIGHT - 8} text-anchor="middle">
          Measured ({unit})
        </text>
        <text
          class="axis"
          transform={`translate(13 ${TOP + SIDE / 2}) rotate(-90)`}
          text-anchor="middle"
        >
          Predicted ({unit})
        </text>
      </svg>
      <figcaption>
        <output class="see-readout" aria-live="polite">
          {shown >= 0 ? (
            <>
              <b>{scatter.samples[shown]}</b> measured {formatSignificant(scatter.observed[shown]!)}
              , predicted {formatSignificant(scatter.predicted[shown]!)}
            </>
          ) : (
            <span class="soft">
              {formatCount(n, `scored ${noun}`)}; dashed: perfect; solid: least squares
              {fit ? `, slope ${formatFixed(fit.slope, 2)}` : ''}
            </span>
          )}
        </output>
      </figcaption>
    </figure>
  );
}

/** Points as dots of lines without length, those of the shown slide apart. */
function pointPaths(scatter: GeneScatter, axis: Axis, slide: number) {
  const here: string[] = Array.from({ length: PATHS }, () => '');
  const others: string[] = Array.from({ length: PATHS }, () => '');
  const scale = SIDE / (axis.high - axis.low);
  for (let i = 0; i < scatter.observed.length; i++) {
    const x = LEFT + (scatter.observed[i]! - axis.low) * scale;
    const y = TOP + SIDE - (scatter.predicted[i]! - axis.low) * scale;
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    const group = scatter.slides[i] === slide ? here : others;
    group[i % PATHS] += `M${x.toFixed(1)} ${y.toFixed(1)}h0`;
  }
  return { here: here.filter(Boolean), others: others.filter(Boolean) };
}
