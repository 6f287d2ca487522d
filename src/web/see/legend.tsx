/** The colour legend: title, unit, gradient, ticks; pointed ends where values lie beyond. */
import { colourTable, NO_VALUE_COLOUR, STEPS } from './colour-maps.ts';
import { tickLabels, ticks } from './colour-scale.ts';
import type { Layer } from './layers.ts';

/** Enough for a gradient that looks like the map. */
const STOPS = 32;

export function gradientStops(layer: Layer): readonly string[] {
  const table = colourTable(layer.scale.map);
  return Array.from({ length: STOPS + 1 }, (_, i) => table[Math.round((i * (STEPS - 1)) / STOPS)]!);
}

/** Ticks of a legend: their labels, and where they are (0 to 1). */
export function legendTicks({ scale }: Layer): { label: string; at: number }[] {
  const values = ticks(scale.low, scale.high, 4);
  const labels = tickLabels(values);
  return values.map((value, i) => ({
    label: labels[i]!,
    at: (value - scale.low) / (scale.high - scale.low),
  }));
}

export function Legend({ layer }: { layer: Layer }) {
  const { scale, title, unit } = layer;
  const ticks = legendTicks(layer);
  const missing = layer.values.some((value) => !Number.isFinite(value));
  const beyond = scale.below || scale.above;
  const label =
    `Colour legend: ${title}, in ${unit}, from ${ticks[0]?.label} to ${ticks.at(-1)?.label}` +
    (beyond ? '; some values lie beyond and take the colour of the end' : '');
  return (
    <div class="see-legend" role="img" aria-label={label}>
      <div class="see-legend-title" aria-hidden="true">
        <b>{title}</b> <span class="soft">{unit}</span>
        {missing && (
          <span class="see-legend-missing soft">
            <i class="see-legend-swatch" style={{ background: NO_VALUE_COLOUR }} /> no value
          </span>
        )}
      </div>
      <div class="see-legend-bar" aria-hidden="true">
        <i
          class={`see-legend-end low ${scale.below ? '' : 'flat'}`}
          style={{ background: colourTable(scale.map)[0]! }}
        />
        <i
          class="see-legend-ramp"
          style={{ background: `linear-gradient(to right, ${gradientStops(layer).join(', ')})` }}
        />
        <i
          class={`see-legend-end high ${scale.above ? '' : 'flat'}`}
          style={{ background: colourTable(scale.map)[STEPS - 1]! }}
        />
      </div>
      <div class="see-legend-ticks" aria-hidden="true">
        {ticks.map(({ label, at }) => (
          <span key={label} class="see-legend-tick" style={{ left: `${at * 100}%` }}>
            {label}
          </span>
        ))}
      </div>
    </div>
  );
}
