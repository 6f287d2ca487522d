/** What the map shows and how: view, opacity, filling, colours, range. */
import { useId } from 'preact/hooks';
import { SEQUENTIAL_MAPS, type SequentialMap } from './colour-maps.ts';
import type { RangeKind } from './colour-scale.ts';
import { type LayerSettings, MODE_NAMES, MODES, type Mode } from './layers.ts';
import type { Fill } from './overlay.ts';

export interface MapLook extends LayerSettings {
  readonly mode: Mode;
  readonly fill: Fill;
  readonly opacity: number;
}

export const FIRST_LOOK: MapLook = {
  mode: 'predicted',
  fill: 'filled',
  opacity: 0.8,
  colours: 'viridis',
  range: 'robust',
  common: true,
  blend: 0.5,
};

export interface MapControlsProps {
  readonly look: MapLook;
  readonly onLook: (change: Partial<MapLook>) => void;
  /** Why a view cannot be shown; null when it can. */
  readonly problemOf: (mode: Mode) => string | null;
  readonly noun: string;
}

const FILLS: Record<Fill, string> = {
  filled: 'Filled',
  outlines: 'Outlines',
  none: 'Tissue only',
};
const RANGES: Record<RangeKind, string> = { robust: '2–98 %', full: 'full' };

/** Views that show predicted or measured values as they are. */
const RANGED: readonly Mode[] = ['predicted', 'measured', 'side'];

export function MapControls({ look, onLook, problemOf, noun }: MapControlsProps) {
  const id = useId();
  const { mode } = look;
  return (
    <div class="see-controls">
      <fieldset class="see-modes">
        <legend class="visually-hidden">What the map shows</legend>
        {MODES.map((other) => {
          const problem = problemOf(other);
          return (
            <label key={other} class={problem ? 'off' : ''} title={problem ?? undefined}>
              <input
                type="radio"
                name={`${id}-mode`}
                checked={other === mode}
                onChange={() => onLook({ mode: other })}
              />
              <span>{MODE_NAMES[other]}</span>
            </label>
          );
        })}
      </fieldset>
      <div class="see-look">
        {mode === 'blend' && problemOf('blend') === null && (
          <label>
            Predicted
            <input
              type="range"
              min={0}
              max={100}
              value={look.blend * 100}
              aria-label="Blend of predicted and measured"
              aria-valuetext={`${Math.round(look.blend * 100)} % measured`}
              onInput={(event) => onLook({ blend: event.currentTarget.valueAsNumber / 100 })}
            />
            Measured
          </label>
        )}
        <label>
          {noun === 'spot' ? 'Spots' : 'Tiles'}
          <select
            value={look.fill}
            onChange={(event) => onLook({ fill: keyOf(FILLS, event.currentTarget.value) })}
          >
            {entries(FILLS)}
          </select>
        </label>
        <label>
          Opacity
          <input
            type="range"
            min={0}
            max={100}
            value={look.opacity * 100}
            disabled={look.fill === 'none'}
            aria-valuetext={`${Math.round(look.opacity * 100)} %`}
            onInput={(event) => onLook({ opacity: event.currentTarget.valueAsNumber / 100 })}
          />
        </label>
        <label>
          Colours
          <select
            value={look.colours}
            disabled={mode === 'difference'}
            onChange={(event) => {
              const colours = SEQUENTIAL_MAPS.find((map) => map === event.currentTarget.value);
              if (colours) onLook({ colours });
            }}
          >
            {SEQUENTIAL_MAPS.map((map: SequentialMap) => (
              <option key={map} value={map}>
                {map}
              </option>
            ))}
          </select>
        </label>
        <label title="2–98 %: one outlier does not take all contrast; values beyond take the colours of the ends">
          Range
          <select
            value={look.range}
            onChange={(event) => onLook({ range: keyOf(RANGES, event.currentTarget.value) })}
          >
            {entries(RANGES)}
          </select>
        </label>
        {problemOf('side') === null && RANGED.includes(mode) && (
          <label
            class="see-check"
            title="The same colour is the same value in the predicted and in the measured map. Predictions vary less than measurements, so their own range shows more of their pattern."
          >
            <input
              type="checkbox"
              checked={look.common}
              onChange={(event) => onLook({ common: event.currentTarget.checked })}
            />
            Same for both
          </label>
        )}
      </div>
    </div>
  );
}

function entries(names: Record<string, string>) {
  return Object.entries(names).map(([value, name]) => (
    <option key={value} value={value}>
      {name}
    </option>
  ));
}

function keyOf<Key extends string>(names: Record<Key, string>, value: string): Key {
  const keys = Object.keys(names) as Key[];
  return keys.find((key) => key === value) ?? keys[0]!;
}
