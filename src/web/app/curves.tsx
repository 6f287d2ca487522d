import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { formatFixed, formatSignificant } from '../../report/format.ts';
import type { CurvePoint } from '../../report/types.ts';
import type { LineChart, Series } from './line-chart.ts';
import { dark } from './theme.ts';

interface CurvesProps {
  points: readonly CurvePoint[];
  /** The axis of the loss. */
  loss: string;
  epochs: number;
  /** Whether a part of the samples is kept for validation. */
  validated: boolean;
}

/** Loss and correlation over the epochs, drawn and as a table. */
export function Curves({ points, loss, epochs, validated }: CurvesProps) {
  const last = points.at(-1);
  const losses: Series[] = [
    { label: 'training', token: '--series-1', values: column(points, 'trainLoss') },
  ];
  if (validated) {
    const values = column(points, 'validationLoss');
    losses.push({ label: 'validation', token: '--series-2', values });
  }
  const pearson: Series[] = [
    { label: 'validation', token: '--series-2', values: column(points, 'validationPearson') },
  ];
  return (
    <>
      <div class="curves">
        <Chart
          title="Loss"
          axis={loss}
          epochs={epochs}
          x={points.map((point) => point.epoch)}
          series={losses}
          summary={
            last
              ? `After epoch ${last.epoch}: ${losses.map(({ label, values }) => `${label} ${formatSignificant(values.at(-1) ?? Number.NaN)}`).join(', ')}.`
              : 'No epoch has ended yet.'
          }
        />
        {validated ? (
          <Chart
            title="Correlation on the validation part"
            axis="Mean Pearson r over genes"
            epochs={epochs}
            x={points.map((point) => point.epoch)}
            series={pearson}
            summary={
              last?.validationPearson !== undefined
                ? `After epoch ${last.epoch}: ${formatFixed(last.validationPearson)}.`
                : 'No epoch has ended yet.'
            }
          />
        ) : (
          <p class="soft">There is no validation part: no correlation to follow.</p>
        )}
      </div>
      {points.length > 0 && <CurveTable points={points} />}
    </>
  );
}

function column(
  points: readonly CurvePoint[],
  key: 'trainLoss' | 'validationLoss' | 'validationPearson',
): (number | null)[] {
  return points.map((point) => {
    const value = point[key];
    return value !== undefined && Number.isFinite(value) ? value : null;
  });
}

interface ChartProps {
  title: string;
  axis: string;
  epochs: number;
  x: readonly number[];
  series: readonly Series[];
  summary: string;
}

function Chart({ title, axis, epochs, x, series, summary }: ChartProps) {
  const missing = useSignal(false);
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<LineChart | null>(null);
  const latest = useRef({ x, series });
  latest.current = { x, series };
  useEffect(() => {
    let gone = false;
    // Loaded when there is something to draw: the plotting library is not part of the first load.
    import('./line-chart.ts').then(
      ({ LineChart }) => {
        if (gone || !place.current) return;
        chart.current = new LineChart(place.current, { axis, epochs, ...latest.current });
      },
      () => {
        missing.value = true;
      },
    );
    return () => {
      gone = true;
      chart.current?.destroy();
      chart.current = null;
    };
  }, [axis, epochs]);
  useEffect(() => {
    chart.current?.update(x, series);
  });
  useSignalEffect(() => {
    // Read, so that this runs again: the colours are the theme's.
    void dark.value;
    requestAnimationFrame(() => chart.current?.recolour());
  });
  return (
    <figure class="curve">
      <figcaption>
        <strong>{title}</strong>
        {series.length > 1 && (
          <span class="curve-legend">
            {series.map(({ label, token }) => (
              <span key={label} class={`key ${token.slice(2)}`}>
                {label}
              </span>
            ))}
          </span>
        )}
      </figcaption>
      <div
        ref={place}
        class="curve-place"
        role="img"
        aria-label={`${title} over epochs. ${summary}`}
      />
      {missing.value && (
        <p class="soft small">
          The drawing could not be loaded from the server of this page; the table below has the
          numbers.
        </p>
      )}
    </figure>
  );
}

/** Rows shown of a long training. */
const ROWS = 200;

function CurveTable({ points }: { points: readonly CurvePoint[] }) {
  const cell = (value: number | undefined) => formatSignificant(value ?? Number.NaN);
  return (
    <details class="small">
      <summary>The curves as a table</summary>
      <div class="scroll">
        <table class="data">
          <thead>
            <tr>
              <th scope="col">Epoch</th>
              <th scope="col" class="number">
                Training loss
              </th>
              <th scope="col" class="number">
                Validation loss
              </th>
              <th scope="col" class="number">
                Validation Pearson
              </th>
            </tr>
          </thead>
          <tbody>
            {points.slice(-ROWS).map((point) => (
              <tr key={point.epoch}>
                <td>{point.epoch}</td>
                <td class="number">{cell(point.trainLoss)}</td>
                <td class="number">{cell(point.validationLoss)}</td>
                <td class="number">{formatFixed(point.validationPearson ?? Number.NaN)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
