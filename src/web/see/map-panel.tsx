/** The stage: one viewer or two that move together, their buttons, keys, legends and the values of a place. */
import type { Signal } from '@preact/signals';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { EngineError, Places, SlideSummary } from '../protocol.ts';
import type { DeepZoom, ReadTile } from './deep-zoom.ts';
import { type Layer, MODE_NAMES } from './layers.ts';
import { Legend } from './legend.tsx';
import { MapView } from './map-view.tsx';
import type { Fill, ViewTransform } from './overlay.ts';
import { type Direction, nearestPlace, placeTowards } from './places.ts';

/** What is seen now, for the export. */
export interface Framed {
  readonly view: ViewTransform;
  readonly width: number;
  readonly height: number;
}

export interface MapPanelProps {
  readonly slide: SlideSummary;
  readonly places: Places;
  /** None: the picture alone. */
  readonly layers: readonly Layer[];
  readonly fill: Fill;
  readonly opacity: number;
  readonly readTile: ReadTile;
  readonly noun: string;
  readonly hovered: Signal<number>;
  readonly selected: Signal<number>;
  readonly onError: (error: EngineError) => void;
  /** Asked when a file is made. */
  readonly framed: { current: (() => Framed | null) | null };
}

const ZOOM_STEP = 1.5;
const PAN_STEP = 0.15;
const DIRECTIONS: Record<string, Direction> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

function follow(leader: DeepZoom | null, other: DeepZoom | null): void {
  if (leader && other && other !== leader) other.follow(leader);
}

export function MapPanel(props: MapPanelProps) {
  const { slide, places, layers, fill, opacity, noun, hovered, selected } = props;
  const stage = useRef<HTMLDivElement>(null);
  const viewers = useRef<(DeepZoom | null)[]>([]);
  const leader = useRef(0);
  const help = useId();
  const leading = () => viewers.current[leader.current] ?? viewers.current[0] ?? null;
  const panels: readonly (Layer | null)[] = layers.length > 0 ? layers : [null];

  useEffect(() => {
    props.framed.current = () => {
      const view = viewers.current[0]?.transform();
      const box = stage.current?.querySelector('.see-map')?.getBoundingClientRect();
      return view && box ? { view, width: box.width, height: box.height } : null;
    };
    return () => {
      props.framed.current = null;
    };
  }, [props.framed]);

  // A place that was chosen elsewhere comes into view.
  useEffect(
    () =>
      selected.subscribe((index) => {
        if (index >= 0 && index < places.x.length) {
          leading()?.reveal(places.x[index]!, places.y[index]!);
        }
      }),
    [places],
  );

  const step = (direction: Direction) => {
    const from = selected.peek();
    if (from >= 0) {
      selected.value = placeTowards(places, from, direction);
      return;
    }
    const view = leading()?.transform();
    const box = stage.current?.querySelector('.see-map')?.getBoundingClientRect();
    if (!view || !box) return;
    selected.value = nearestPlace(
      places,
      (box.width / 2 - view.x) / view.zoom,
      (box.height / 2 - view.y) / view.zoom,
    );
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = DIRECTIONS[event.key];
    const zoom = leading();
    if (direction && event.shiftKey) step(direction);
    else if (direction === 'left') zoom?.panBy(-PAN_STEP, 0);
    else if (direction === 'right') zoom?.panBy(PAN_STEP, 0);
    else if (direction === 'up') zoom?.panBy(0, -PAN_STEP);
    else if (direction === 'down') zoom?.panBy(0, PAN_STEP);
    else if (event.key === '+' || event.key === '=') zoom?.zoomBy(ZOOM_STEP);
    else if (event.key === '-') zoom?.zoomBy(1 / ZOOM_STEP);
    else if (event.key === '0' || event.key === 'Home') zoom?.home();
    else if (event.key === 'Escape') selected.value = -1;
    else return;
    event.preventDefault();
  };
  const name = layers.map((layer) => layer.title).join(' and ') || 'Picture';
  return (
    <div class="see-stage" ref={stage}>
      <div
        class={`see-panels ${panels.length > 1 ? 'two' : ''}`}
        role="application"
        aria-roledescription="map"
        aria-label={`${name}, ${slide.id}`}
        aria-describedby={help}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a map with its own keys
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        {panels.map((layer, i) => (
          <div class="see-panel" key={i}>
            {panels.length > 1 && layer && <h3>{MODE_NAMES[layer.kind]}</h3>}
            <MapView
              slide={slide}
              places={places}
              layer={layer}
              fill={fill}
              opacity={opacity}
              readTile={props.readTile}
              hovered={hovered}
              selected={selected}
              onOpen={(zoom) => {
                viewers.current[i] = zoom;
                if (!zoom) leader.current = 0;
                // One that opens later starts where the first one is.
                else if (i > 0) follow(leading(), zoom);
              }}
              onFrame={(zoom) => {
                if (zoom !== leading()) return;
                for (const other of viewers.current) follow(zoom, other ?? null);
              }}
              onError={props.onError}
              onLead={() => {
                leader.current = i;
              }}
            />
          </div>
        ))}
      </div>
      <p id={help} class="visually-hidden">
        Arrow keys move the map, plus and minus zoom, zero shows all {noun}s. Shift and arrow keys
        go from {noun} to {noun} and read the values; Escape leaves the {noun}.
      </p>
      <fieldset class="see-zoom" aria-label="Zoom">
        <button
          type="button"
          class="see-zoom-button"
          aria-label="Zoom in"
          onClick={() => leading()?.zoomBy(ZOOM_STEP)}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M8 3v10M3 8h10" />
          </svg>
        </button>
        <button
          type="button"
          class="see-zoom-button"
          aria-label="Zoom out"
          onClick={() => leading()?.zoomBy(1 / ZOOM_STEP)}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3 8h10" />
          </svg>
        </button>
        <button
          type="button"
          class="see-zoom-button"
          aria-label={`Show all ${noun}s`}
          onClick={() => leading()?.home()}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3" />
          </svg>
        </button>
      </fieldset>
      {layers.length > 0 && fill !== 'none' && (
        <div class="see-legends">
          {layers.map((layer) => (
            <Legend key={layer.kind} layer={layer} />
          ))}
        </div>
      )}
    </div>
  );
}
