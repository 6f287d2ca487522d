/** One viewer: the picture, its places on top, and the scale bar. */
import { type Signal, useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { asEngineError } from '../app/errors.ts';
import type { EngineError, Places, SlideSummary } from '../protocol.ts';
import { DeepZoom, type ReadTile } from './deep-zoom.ts';
import type { Layer } from './layers.ts';
import { drawMark, drawPlaces, type Fill, orderByColour } from './overlay.ts';
import { extentOf, placeAt } from './places.ts';
import { type ScaleBar, scaleBar } from './scale-bar.ts';

export interface MapViewProps {
  readonly slide: SlideSummary;
  readonly places: Places;
  readonly layer: Layer | null;
  readonly fill: Fill;
  /** 0 to 1 */
  readonly opacity: number;
  readonly readTile: ReadTile;
  /** Index of the place under the pointer, and of the chosen one; -1 for none. */
  readonly hovered: Signal<number>;
  readonly selected: Signal<number>;
  /** The viewer is open (null: closed again). */
  readonly onOpen: (zoom: DeepZoom | null) => void;
  /** After every frame. */
  readonly onFrame: (zoom: DeepZoom) => void;
  /** The viewer could not be loaded. */
  readonly onError: (error: EngineError) => void;
  /** The user works with this one now: linked viewers follow it. */
  readonly onLead: () => void;
}

const BAR_WIDTH = 140;
/** Pixels that the pointer may move during a click. */
const DRAG = 4;

export function MapView(props: MapViewProps) {
  const { slide, places, layer, fill, hovered, selected } = props;
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const zoom = useRef<DeepZoom | null>(null);
  const pressed = useRef({ x: 0, y: 0 });
  const bar = useSignal<ScaleBar | null>(null);
  const order = useMemo(() => (layer ? orderByColour(layer) : null), [layer]);

  const drawMarks = () => {
    const view = zoom.current?.transform();
    const context = fitted(marks.current);
    if (!view || !context) return;
    for (const index of new Set([selected.peek(), hovered.peek()])) {
      if (index >= 0 && index < places.x.length) drawMark(context, places, index, view);
    }
  };
  const draw = () => {
    const view = zoom.current?.transform();
    const context = fitted(canvas.current);
    if (!view || !context) return;
    if (order && order.order.length === places.x.length) {
      const ratio = window.devicePixelRatio;
      context.setTransform(1, 0, 0, 1, 0, 0);
      const device = { zoom: view.zoom * ratio, x: view.x * ratio, y: view.y * ratio };
      drawPlaces(context, places, order, device, context.canvas.width, context.canvas.height, fill);
    }
    const next = scaleBar(view.zoom, slide.mpp, BAR_WIDTH);
    if (next?.width !== bar.peek()?.width) bar.value = next;
    drawMarks();
  };
  // The viewer lives longer than one rendering: it calls what is current.
  const current = useRef({ draw, props });
  current.current = { draw, props };

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    let closed = false;
    DeepZoom.open({
      host: element,
      home: extentOf(places),
      picture: slide.picture,
      readTile: (level, column, row) => current.current.props.readTile(level, column, row),
      onFrame: () => {
        current.current.draw();
        if (zoom.current) current.current.props.onFrame(zoom.current);
      },
    }).then(
      (opened) => {
        if (closed) return opened.close();
        zoom.current = opened;
        current.current.props.onOpen(opened);
        current.current.draw();
      },
      (thrown) => current.current.props.onError(asEngineError(thrown)),
    );
    const resized = new ResizeObserver(() => current.current.draw());
    resized.observe(element);
    return () => {
      closed = true;
      resized.disconnect();
      current.current.props.onOpen(null);
      zoom.current?.close();
      zoom.current = null;
    };
  }, [slide.id, places]);

  useEffect(draw, [order, fill, places]);
  useSignalEffect(() => {
    hovered.value;
    selected.value;
    drawMarks();
  });

  const placeUnder = (event: PointerEvent): number => {
    const view = zoom.current?.transform();
    const box = host.current?.getBoundingClientRect();
    if (!view || !box) return -1;
    return placeAt(
      places,
      (event.clientX - box.left - view.x) / view.zoom,
      (event.clientY - box.top - view.y) / view.zoom,
    );
  };
  return (
    <div
      class="see-map"
      onPointerMove={(event) => {
        props.onLead();
        hovered.value = placeUnder(event);
      }}
      onPointerDown={(event) => {
        pressed.current = { x: event.clientX, y: event.clientY };
      }}
      onPointerUp={(event) => {
        const { x, y } = pressed.current;
        // A drag moves the map; a click chooses.
        if (Math.hypot(event.clientX - x, event.clientY - y) > DRAG) return;
        const index = placeUnder(event);
        selected.value = index === selected.peek() ? -1 : index;
      }}
      onWheel={props.onLead}
      onPointerLeave={() => {
        hovered.value = -1;
      }}
    >
      <div class="see-picture" ref={host} />
      <canvas class="see-overlay" ref={canvas} style={{ opacity: props.opacity }} />
      <canvas class="see-overlay" ref={marks} />
      <Bar bar={bar} />
    </div>
  );
}

function Bar({ bar }: { bar: Signal<ScaleBar | null> }) {
  const label = useComputed(() => bar.value?.label ?? '');
  if (!bar.value) return null;
  return (
    <div class="see-scale-bar">
      {label}
      <span class="see-scale-line" style={{ width: `${bar.value.width}px` }} />
    </div>
  );
}

/** The canvas at the size of its box in device pixels, empty, in CSS pixels; null when there is nothing to draw on. */
function fitted(canvas: HTMLCanvasElement | null): CanvasRenderingContext2D | null {
  const context = canvas?.getContext('2d');
  if (!canvas || !context) return null;
  const ratio = window.devicePixelRatio;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
