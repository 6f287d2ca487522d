/** Draws places over a picture on a 2D canvas: culled to what is seen, one colour after the other. */
import type { Places } from '../protocol.ts';
import { colourTable, STEPS } from './colour-maps.ts';
import { binOf } from './colour-scale.ts';
import type { Layer } from './layers.ts';

/** Where the slide lies on a canvas: canvas pixel = slide pixel * zoom + offset. */
export interface ViewTransform {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

export type Fill = 'filled' | 'outlines' | 'none';

/** Places in the order of their colours; those of colour c are `order[starts[c]]` to before `order[starts[c + 1]]`. */
export interface ColourOrder {
  readonly order: Uint32Array;
  readonly starts: Uint32Array;
  readonly colours: readonly string[];
}

/** Smaller than this on the canvas, a circle is a square. */
const SMALLEST_CIRCLE = 4;

/** Edges of neighbours differ by rounding of their float32 centres; by less than this on the canvas. */
const SEAM = 0.02;

/** Once per layer, so that a frame does not look at values at all. */
export function orderByColour({ values, scale }: Layer): ColourOrder {
  const starts = new Uint32Array(STEPS + 2);
  const bins = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    bins[i] = binOf(values[i]!, scale);
    starts[bins[i]! + 1]!++;
  }
  for (let c = 0; c <= STEPS; c++) starts[c + 1]! += starts[c]!;
  const next = starts.slice();
  const order = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) order[next[bins[i]!]!++] = i;
  return { order, starts, colours: colourTable(scale.map) };
}

/** Draws what lies within `width` x `height` canvas pixels; gives the number of places drawn. */
export function drawPlaces(
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
  places: Places,
  { order, starts, colours }: ColourOrder,
  view: ViewTransform,
  width: number,
  height: number,
  fill: Fill,
): number {
  if (fill === 'none') return 0;
  const side = places.size * view.zoom;
  const half = side / 2;
  const outlines = fill === 'outlines';
  const line = Math.max(1, side * 0.14);
  const circle = places.shape === 'circle' && side >= SMALLEST_CIRCLE;
  context.lineWidth = line;
  let drawn = 0;
  for (let c = 0; c <= STEPS; c++) {
    const end = starts[c + 1]!;
    let open = false;
    for (let k = starts[c]!; k < end; k++) {
      const i = order[k]!;
      const x = places.x[i]! * view.zoom + view.x;
      const y = places.y[i]! * view.zoom + view.y;
      if (x + half < 0 || y + half < 0 || x - half > width || y - half > height) continue;
      if (!open) {
        context.beginPath();
        if (outlines) context.strokeStyle = colours[c]!;
        else context.fillStyle = colours[c]!;
        open = true;
      }
      drawn++;
      if (circle) {
        const radius = outlines ? Math.max(0.5, half - line / 2) : half;
        context.moveTo(x + radius, y);
        context.arc(x, y, radius, 0, 2 * Math.PI);
      } else if (outlines) {
        context.rect(x - half + line / 2, y - half + line / 2, side - line, side - line);
      } else {
        // On whole pixels: neighbours share an edge, and no seam of the ground shows between them.
        const left = Math.round(x - half - SEAM);
        const top = Math.round(y - half - SEAM);
        context.fillRect(
          left,
          top,
          Math.max(1, Math.round(x + half + SEAM) - left),
          Math.max(1, Math.round(y + half + SEAM) - top),
        );
      }
    }
    if (!open) continue;
    if (outlines) context.stroke();
    else if (circle) context.fill();
  }
  return drawn;
}

/** A ring around one place, seen on any ground. */
export function drawMark(
  context: CanvasRenderingContext2D,
  places: Places,
  index: number,
  view: ViewTransform,
): void {
  const half = Math.max(5, (places.size * view.zoom) / 2 + 2);
  const x = places.x[index]! * view.zoom + view.x;
  const y = places.y[index]! * view.zoom + view.y;
  context.beginPath();
  if (places.shape === 'circle') context.arc(x, y, half, 0, 2 * Math.PI);
  else context.rect(x - half, y - half, 2 * half, 2 * half);
  for (const [width, colour] of [
    [5, '#ffffff'],
    [2.5, '#111111'],
  ] as const) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }
}
