/** The values of one place, in words. */
import { type Signal, useComputed } from '@preact/signals';
import { formatSignificant } from '../../report/format.ts';
import type { GeneMap, Places } from '../protocol.ts';

export interface ReadoutProps {
  readonly places: Places;
  readonly map: GeneMap | null;
  /** × average; null when not loaded or there is none. */
  readonly attention: Float32Array | null;
  readonly unit: string;
  readonly noun: string;
  readonly hovered: Signal<number>;
  readonly selected: Signal<number>;
}

export function Readout(props: ReadoutProps) {
  const { places, map, attention, unit, noun, hovered, selected } = props;
  const index = useComputed(() => (hovered.value >= 0 ? hovered.value : selected.value)).value;
  const known = index >= 0 && index < places.names.length;
  return (
    // Only what was chosen is read aloud: the pointer would talk without end.
    <p class="see-readout" aria-live={hovered.value >= 0 ? 'off' : 'polite'}>
      {known ? (
        <>
          <b>
            {noun} {places.names[index]}
          </b>
          {placeValues(index, map, attention, unit).map(([name, value]) => (
            <span key={name}>
              {name} <b>{value}</b>
            </span>
          ))}
        </>
      ) : (
        <span class="soft">
          Point at a {noun} for its values; click to keep it. By keyboard: Shift and arrow keys on
          the map.
        </span>
      )}
    </p>
  );
}

/** Name and value with unit of all that is known about a place. */
function placeValues(
  index: number,
  map: Pick<GeneMap, 'predicted' | 'observed'> | null,
  attention: Float32Array | null,
  unit: string,
): [string, string][] {
  const predicted = map?.predicted?.[index];
  const observed = map?.observed?.[index];
  const values: [string, string][] = [];
  if (predicted !== undefined) values.push(['predicted', withUnit(predicted, unit)]);
  if (observed !== undefined) values.push(['measured', withUnit(observed, unit)]);
  if (predicted !== undefined && observed !== undefined) {
    values.push(['difference', formatSignificant(predicted - observed)]);
  }
  if (attention?.[index] !== undefined) {
    values.push(['attention', `${formatSignificant(attention[index])} × average`]);
  }
  return values;
}

const withUnit = (value: number, unit: string): string =>
  Number.isFinite(value) ? `${formatSignificant(value)} ${unit}` : 'no value';
