/** The overview of a slide with the outlines of its kept and rejected tiles, as PNG bytes. */
import { encode } from 'fast-png';
import { readScaled } from './resample.ts';
import type { RgbImage } from './slide.ts';
import type { TilePlan } from './tiling.ts';
import type { Overview } from './tissue-mask.ts';

type Colour = readonly [number, number, number];

/** Okabe and Ito's blue and vermilion: apart in every common kind of colour blindness, and on H&E. */
export const KEPT_COLOUR: Colour = [0, 90, 181];
export const REJECTED_COLOUR: Colour = [213, 94, 0];

/** Rejected tissue keeps this much of its colour, so that the kept part stands out without colour too. */
const PALE = 0.55;

/** Longer side of the picture: about twice what is seen of it, so that it is sharp on fine screens. */
const LARGEST_SIDE = 1200;

/**
 * The overview, at most 1200 pixels along its longer side; each tile's outline one pixel inside its square, so that neighbours
 * do not hide each other. Tiles below four pixels are filled instead.
 *
 * @param kept positions in `plan.tiles`
 * @param rejected the same, of the tiles that were looked at and not kept
 */
export async function previewPicture(
  overview: Overview,
  plan: TilePlan,
  kept: readonly number[],
  rejected: readonly number[],
): Promise<Uint8Array> {
  const small = await shrink(overview);
  const { image } = small;
  pale(image, plan, kept, small);
  for (const i of rejected) outline(image, squareOf(plan, i, small), REJECTED_COLOUR);
  for (const i of kept) outline(image, squareOf(plan, i, small), KEPT_COLOUR);
  return encode({ ...image, channels: 3, depth: 8 });
}

/** A copy of the overview, smaller where it is too large. */
async function shrink({ image, scaleX, scaleY }: Overview): Promise<Overview> {
  const factor = Math.max(1, Math.max(image.width, image.height) / LARGEST_SIDE);
  if (factor === 1) return { image: { ...image, data: image.data.slice() }, scaleX, scaleY };
  const width = Math.max(1, Math.round(image.width / factor));
  const height = Math.max(1, Math.round(image.height / factor));
  const [byX, byY] = [image.width / width, image.height / height];
  const source = {
    levels: [{ width: image.width, height: image.height, downsample: 1 }],
    readRegion: async (_: number, x: number, y: number, w: number, h: number) =>
      crop(image, x, y, w, h),
  };
  const window = { level: 0, x: 0, y: 0, scaleX: byX, scaleY: byY, width, height };
  return { image: await readScaled(source, window), scaleX: scaleX * byX, scaleY: scaleY * byY };
}

/** A part of an image that lies inside it. */
function crop(image: RgbImage, x: number, y: number, width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * image.width + x) * 3;
    data.set(image.data.subarray(from, from + width * 3), row * width * 3);
  }
  return { width, height, data };
}

interface Square {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Overview pixels under a tile, right and bottom included. */
function squareOf(plan: TilePlan, index: number, { scaleX, scaleY, image }: Overview): Square {
  const { x, y } = plan.tiles[index]!;
  const left = Math.min(Math.round(x / scaleX), image.width - 1);
  const top = Math.min(Math.round(y / scaleY), image.height - 1);
  return {
    left,
    top,
    right: Math.min(Math.max(Math.round((x + plan.side) / scaleX) - 1, left), image.width - 1),
    bottom: Math.min(Math.max(Math.round((y + plan.side) / scaleY) - 1, top), image.height - 1),
  };
}

/** Pales everything but the kept tiles. */
function pale(image: RgbImage, plan: TilePlan, kept: readonly number[], overview: Overview): void {
  const { width, data } = image;
  const bright = new Uint8Array(width * image.height);
  for (const i of kept) {
    const { left, top, right, bottom } = squareOf(plan, i, overview);
    for (let y = top; y <= bottom; y++) bright.fill(1, y * width + left, y * width + right + 1);
  }
  for (let i = 0; i < data.length; i++) {
    if (!bright[Math.floor(i / 3)]) data[i] = 255 - (255 - data[i]!) * PALE;
  }
}

function outline({ width, data }: RgbImage, square: Square, colour: Colour): void {
  const { left, top, right, bottom } = square;
  const side = Math.min(right - left, bottom - top) + 1;
  const thickness = side >= 20 ? 2 : 1;
  for (let y = top; y <= bottom; y++) {
    const edgeRow = side < 4 || y < top + thickness || y > bottom - thickness;
    for (let x = left; x <= right; x++) {
      if (!edgeRow && x >= left + thickness && x <= right - thickness) continue;
      data.set(colour, (y * width + x) * 3);
    }
  }
}
