/** The map as a picture for a paper or a slide: what is seen, with legend, scale bar, and what it is. */
import type { Places, SlideSummary } from '../protocol.ts';
import { NO_VALUE_COLOUR } from './colour-maps.ts';
import type { ReadTile } from './deep-zoom.ts';
import type { Layer } from './layers.ts';
import { gradientStops, legendTicks } from './legend.tsx';
import { drawPlaces, type Fill, orderByColour, type ViewTransform } from './overlay.ts';
import { scaleBar } from './scale-bar.ts';

export interface PictureSpec {
  readonly slide: SlideSummary;
  readonly places: Places;
  /** One panel each. */
  readonly layers: readonly Layer[];
  readonly fill: Fill;
  readonly opacity: number;
  /** What one panel shows, and its size, in CSS pixels. */
  readonly view: ViewTransform;
  readonly width: number;
  readonly height: number;
  readonly readTile: ReadTile;
  readonly title: string;
  readonly subtitle: string;
  readonly simulated: boolean;
}

type Context = OffscreenCanvasRenderingContext2D;

/** Pixels of the file per CSS pixel. */
const SHARPNESS = 2;
const MARGIN = 16;
const HEAD = 56;
const FOOT = 62;
const INK = '#1b1e23';
const SOFT = '#596069';
const SANS = 'system-ui, "Helvetica Neue", Arial, sans-serif';

/** A PNG; always on white, whatever the theme of the page. */
export async function mapPicture(spec: PictureSpec): Promise<Blob> {
  const panels = spec.layers.length;
  const width = MARGIN + panels * (spec.width + MARGIN);
  const height = HEAD + spec.height + FOOT;
  const canvas = new OffscreenCanvas(Math.round(width * SHARPNESS), Math.round(height * SHARPNESS));
  const context = contextOf(canvas);
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  const panel = await groundOf(spec);
  for (const [i, layer] of spec.layers.entries()) {
    const x = MARGIN + i * (spec.width + MARGIN);
    context.drawImage(panel, x * SHARPNESS, HEAD * SHARPNESS);
    context.globalAlpha = spec.opacity;
    context.drawImage(overlayOf(spec, layer), x * SHARPNESS, HEAD * SHARPNESS);
    context.globalAlpha = 1;
  }
  context.scale(SHARPNESS, SHARPNESS);
  drawHead(context, spec, width);
  for (const [i, layer] of spec.layers.entries()) {
    const x = MARGIN + i * (spec.width + MARGIN);
    context.strokeStyle = '#c9ced4';
    context.lineWidth = 1;
    context.strokeRect(x, HEAD, spec.width, spec.height);
    drawScaleBar(context, spec, x + 12, HEAD + spec.height - 12);
    if (spec.fill !== 'none')
      drawLegend(context, layer, x, HEAD + spec.height + 8, Math.min(spec.width, 360));
  }
  return canvas.convertToBlob({ type: 'image/png' });
}

function contextOf(canvas: OffscreenCanvas): Context {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('This browser gives no 2D canvas.');
  return context;
}

function panelCanvas({ width, height }: PictureSpec): OffscreenCanvas {
  return new OffscreenCanvas(Math.round(width * SHARPNESS), Math.round(height * SHARPNESS));
}

/** The part of the slide's picture that is seen, from the level that is just sharp enough. */
async function groundOf(spec: PictureSpec): Promise<OffscreenCanvas> {
  const canvas = panelCanvas(spec);
  const context = contextOf(canvas);
  const { picture } = spec.slide;
  context.fillStyle = '#f2f3f5';
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (!picture) return canvas;
  const zoom = spec.view.zoom * SHARPNESS;
  const left = spec.view.x * SHARPNESS;
  const top = spec.view.y * SHARPNESS;
  const level = Math.min(picture.levels - 1, Math.max(0, Math.floor(Math.log2(1 / zoom) + 1e-6)));
  const scale = 2 ** level;
  const tile = picture.tileSize * scale;
  const columns = Math.ceil(picture.width / tile);
  const rows = Math.ceil(picture.height / tile);
  const firstColumn = Math.max(0, Math.floor(-left / zoom / tile));
  const firstRow = Math.max(0, Math.floor(-top / zoom / tile));
  const drawn: Promise<void>[] = [];
  for (let row = firstRow; row < rows && row * tile * zoom + top < canvas.height; row++) {
    for (
      let column = firstColumn;
      column < columns && column * tile * zoom + left < canvas.width;
      column++
    ) {
      drawn.push(
        spec.readTile(level, column, row).then((bitmap) => {
          context.drawImage(
            bitmap,
            column * tile * zoom + left,
            row * tile * zoom + top,
            bitmap.width * scale * zoom,
            bitmap.height * scale * zoom,
          );
          bitmap.close();
        }),
      );
    }
  }
  await Promise.all(drawn);
  return canvas;
}

function overlayOf(spec: PictureSpec, layer: Layer): OffscreenCanvas {
  const canvas = panelCanvas(spec);
  drawPlaces(
    contextOf(canvas),
    spec.places,
    orderByColour(layer),
    {
      zoom: spec.view.zoom * SHARPNESS,
      x: spec.view.x * SHARPNESS,
      y: spec.view.y * SHARPNESS,
    },
    canvas.width,
    canvas.height,
    spec.fill,
  );
  return canvas;
}

function drawHead(context: Context, spec: PictureSpec, width: number): void {
  let room = width - 2 * MARGIN;
  context.textBaseline = 'alphabetic';
  if (spec.simulated) {
    const text = 'Simulated data';
    context.font = `600 13px ${SANS}`;
    const size = context.measureText(text).width + 18;
    context.fillStyle = '#fff1cc';
    context.fillRect(width - MARGIN - size, 10, size, 22);
    context.fillStyle = '#6d4a00';
    context.fillText(text, width - MARGIN - size + 9, 26);
    room -= size + 12;
  }
  context.fillStyle = INK;
  context.font = `600 17px ${SANS}`;
  context.fillText(spec.title, MARGIN, 26, room);
  context.fillStyle = SOFT;
  context.font = `13px ${SANS}`;
  context.fillText(spec.subtitle, MARGIN, 45, width - 2 * MARGIN);
}

function drawScaleBar(context: Context, spec: PictureSpec, x: number, bottom: number): void {
  const bar = scaleBar(spec.view.zoom, spec.slide.mpp, 140);
  if (!bar) return;
  context.fillStyle = 'rgba(255, 255, 255, 0.85)';
  context.fillRect(x - 6, bottom - 28, bar.width + 12, 34);
  context.fillStyle = '#000000';
  context.fillRect(x, bottom - 4, bar.width, 4);
  context.font = `600 12px ${SANS}`;
  context.textAlign = 'center';
  context.fillText(bar.label, x + bar.width / 2, bottom - 10);
  context.textAlign = 'left';
}

function drawLegend(context: Context, layer: Layer, x: number, y: number, width: number): void {
  const bar = { x: x + 10, y: y + 18, width: width - 20, height: 12 };
  context.font = `600 12px ${SANS}`;
  context.fillStyle = INK;
  context.fillText(layer.title, x, y + 11);
  const after = x + context.measureText(layer.title).width + 8;
  context.font = `12px ${SANS}`;
  context.fillStyle = SOFT;
  context.fillText(layer.unit, after, y + 11);
  if (layer.values.some((value) => !Number.isFinite(value))) {
    const right = after + context.measureText(layer.unit).width + 14;
    context.fillStyle = NO_VALUE_COLOUR;
    context.fillRect(right, y + 2, 10, 10);
    context.fillStyle = SOFT;
    context.fillText('no value', right + 14, y + 11);
  }
  const stops = gradientStops(layer);
  const ramp = context.createLinearGradient(bar.x, 0, bar.x + bar.width, 0);
  for (const [i, colour] of stops.entries()) ramp.addColorStop(i / (stops.length - 1), colour);
  context.fillStyle = ramp;
  context.fillRect(bar.x, bar.y, bar.width, bar.height);
  const middle = bar.y + bar.height / 2;
  if (layer.scale.below) triangle(context, bar.x, middle, -8, bar.height, stops[0]!);
  if (layer.scale.above) {
    triangle(context, bar.x + bar.width, middle, 8, bar.height, stops.at(-1)!);
  }
  context.fillStyle = INK;
  context.textAlign = 'center';
  for (const { label, at } of legendTicks(layer)) {
    const tick = bar.x + at * bar.width;
    context.fillRect(tick - 0.5, bar.y + bar.height, 1, 4);
    context.fillText(label, tick, bar.y + bar.height + 16);
  }
  context.textAlign = 'left';
}

function triangle(
  context: Context,
  x: number,
  middle: number,
  length: number,
  height: number,
  colour: string,
): void {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x, middle - height / 2);
  context.lineTo(x + length, middle);
  context.lineTo(x, middle + height / 2);
  context.fill();
}
