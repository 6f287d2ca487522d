/**
 * Draws one small tile that looks like tissue stained with haematoxylin and eosin.
 *
 * Two planes of stain amounts (optical density) are painted, tissue first and nuclei on top, and
 * turned into RGB by Beer-Lambert's law with the slide's own stain colours. Lengths are in pixels,
 * at about 2 micrometres each: a larger tile shows more tissue, not larger cells.
 */
import { type Random, smoothNoise } from './random.ts';

export const TISSUES = ['tumour', 'stroma', 'lymphocytes', 'gland', 'fat', 'necrosis'] as const;
export type Tissue = (typeof TISSUES)[number];

/** What the tile should show. */
export interface Morphology {
  tissue: Tissue;
  /** Nuclei per 1000 pixels, before the tissue's own factor. */
  density: number;
  /** Mean nuclear radius in pixels, before the tissue's own factor. */
  radius: number;
  /** Long over short axis of a nucleus, at least 1. */
  elongation: number;
  /** Optical density of haematoxylin in a nucleus. */
  chromatin: number;
  /** Optical density of eosin in fibres and cytoplasm. */
  eosin: number;
  /** Depth of the fibre texture, 0..1. */
  fibre: number;
  /** Radius of a gland's lumen, as a fraction of the tile. */
  lumen: number;
}

/** Colour of a slide: unit optical densities in red, green and blue of each stain. */
export interface StainColours {
  haematoxylin: readonly [number, number, number];
  eosin: readonly [number, number, number];
}

/** What was drawn: the truth that expression depends on. */
export interface DrawnTile {
  rgb: Uint8Array;
  /** Fraction of the tile's area covered by nuclei (sum of ellipses). */
  nuclearArea: number;
  /** Fraction of pixels without tissue: lumen and fat vacuoles. */
  empty: number;
}

/** Per tissue: factors on the density and radius of nuclei, and their least elongation. */
const CELLS: Readonly<Record<Tissue, { density: number; radius: number; elongation: number }>> = {
  tumour: { density: 1.1, radius: 1, elongation: 1 },
  stroma: { density: 0.35, radius: 0.75, elongation: 2.2 },
  lymphocytes: { density: 3.2, radius: 0.55, elongation: 1 },
  gland: { density: 1, radius: 0.8, elongation: 1.2 },
  fat: { density: 0.08, radius: 0.6, elongation: 2 },
  necrosis: { density: 0.7, radius: 0.4, elongation: 1 },
};

/** Tissue and nuclei of one tile; planes are `[size * size]`. */
interface Canvas {
  size: number;
  haematoxylin: Float32Array;
  eosin: Float32Array;
  /** 1 where there is no tissue. */
  empty: Uint8Array;
}

export function renderTile(
  size: number,
  morphology: Morphology,
  colours: StainColours,
  random: Random,
): DrawnTile {
  const canvas: Canvas = {
    size,
    haematoxylin: new Float32Array(size * size),
    eosin: new Float32Array(size * size),
    empty: new Uint8Array(size * size),
  };
  const angle = random.uniform(0, Math.PI);
  const opening = paintTissue(canvas, morphology, angle, random);
  const area = paintNuclei(canvas, morphology, angle, opening, random);
  let empty = 0;
  for (let i = 0; i < size * size; i++) empty += canvas.empty[i]!;
  return {
    rgb: develop(canvas, colours, random),
    nuclearArea: area / (size * size),
    empty: empty / (size * size),
  };
}

/** A gland's lumen: an ellipse. */
interface Opening {
  x: number;
  y: number;
  a: number;
  b: number;
}

function paintTissue(
  canvas: Canvas,
  { tissue, eosin, fibre, lumen }: Morphology,
  angle: number,
  random: Random,
): Opening | undefined {
  const { size } = canvas;
  const noise = smoothNoise(random);
  const grain = smoothNoise(random);
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const opening =
    tissue === 'gland'
      ? {
          x: size * random.uniform(0.38, 0.62),
          y: size * random.uniform(0.38, 0.62),
          a: size * lumen * random.uniform(0.85, 1.25),
          b: size * lumen * random.uniform(0.75, 1),
        }
      : undefined;
  const vacuoles = tissue === 'fat' ? fatCells(size, random) : [];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const i = y * size + x;
      const coarse = noise(x / 11, y / 11);
      const fine = grain(x / 2.3, y / 2.3);
      let e = eosin;
      let h = 0.06;
      switch (tissue) {
        case 'stroma': {
          // Fibres: noise squeezed across their direction, bent by a slower wave.
          const along = x * cos + y * sin;
          const across = y * cos - x * sin + 2.5 * coarse;
          const strand = grain(along / 13, across / 1.7);
          e *= 1.1 + fibre * (1.1 * strand + 0.35 * fine);
          if (strand < -0.55) e *= 1 - 0.8 * fibre;
          break;
        }
        case 'tumour':
          e *= 0.8 + 0.25 * coarse + 0.2 * fine;
          h = 0.16 + 0.05 * fine;
          break;
        case 'lymphocytes':
          e *= 0.45 + 0.2 * coarse;
          h = 0.14;
          break;
        case 'gland':
          e *= 0.85 + 0.2 * coarse + 0.12 * fine;
          h = 0.12;
          break;
        case 'necrosis':
          // Structureless, granular and pale.
          e *= 0.95 + 0.15 * coarse + 0.45 * fine * grain(x / 1.1 + 7, y / 1.1);
          h = 0.04;
          break;
        case 'fat':
          e *= 0.8 + 0.2 * fine;
          break;
      }
      if (opening) {
        const distance = Math.hypot((x - opening.x) / opening.a, (y - opening.y) / opening.b);
        if (distance + 0.12 * noise(x / 4, y / 4) < 1) {
          canvas.empty[i] = 1;
          continue;
        }
      }
      if (tissue === 'fat' && inVacuole(x, y, vacuoles)) {
        canvas.empty[i] = 1;
        continue;
      }
      canvas.eosin[i] = Math.max(e, 0.02);
      canvas.haematoxylin[i] = Math.max(h, 0);
    }
  }
  return opening;
}

/** Centres of fat cells on a jittered grid, one cell about 18 pixels wide. */
function fatCells(size: number, random: Random): [number, number][] {
  const pitch = 18;
  const cells: [number, number][] = [];
  const offset = random.uniform(0, pitch);
  for (let y = -offset; y < size + pitch; y += pitch) {
    for (let x = -offset; x < size + pitch; x += pitch) {
      cells.push([x + random.uniform(-5, 5), y + random.uniform(-5, 5)]);
    }
  }
  return cells;
}

/** Inside a fat cell: clearly nearer to one centre than to the next (Voronoi cell less its wall). */
function inVacuole(x: number, y: number, cells: [number, number][]): boolean {
  let nearest = Number.POSITIVE_INFINITY;
  let second = Number.POSITIVE_INFINITY;
  for (const [cx, cy] of cells) {
    const distance = Math.hypot(x - cx, y - cy);
    if (distance < nearest) {
      second = nearest;
      nearest = distance;
    } else if (distance < second) second = distance;
  }
  return second - nearest > 1.8;
}

/** Paints nuclei that do not overlap much; returns the sum of their areas in pixels. */
function paintNuclei(
  canvas: Canvas,
  { tissue, density, radius, elongation, chromatin }: Morphology,
  angle: number,
  opening: Opening | undefined,
  random: Random,
): number {
  const { size } = canvas;
  const cells = CELLS[tissue];
  const expected = (density * cells.density * size * size) / 1000;
  // The fraction decides by chance, so that the mean is right for small tiles too.
  const count = Math.floor(expected) + (random.uniform() < expected % 1 ? 1 : 0);
  const placed: [number, number, number][] = [];
  let area = 0;
  for (let n = 0; n < count; n++) {
    const r = radius * cells.radius * Math.exp(0.15 * random.normal());
    const place = findPlace(canvas, r, placed, opening, random);
    if (!place) continue;
    placed.push([...place, r]);
    const ratio = Math.max(elongation, cells.elongation) * Math.exp(0.12 * random.normal());
    const long = r * Math.sqrt(Math.max(ratio, 1));
    const short = (r * r) / long;
    // Spindle nuclei lie along their fibres; the others lie anyhow.
    const turn = tissue === 'stroma' ? angle + 0.25 * random.normal() : random.uniform(0, Math.PI);
    const depth = chromatin * (tissue === 'lymphocytes' ? 1.25 : 1) * random.uniform(0.85, 1.15);
    paintNucleus(canvas, place, long, short, turn, depth, random);
    area += Math.PI * long * short;
  }
  return area;
}

function findPlace(
  { size, empty }: Canvas,
  r: number,
  placed: [number, number, number][],
  opening: Opening | undefined,
  random: Random,
): [number, number] | undefined {
  for (let attempt = 0; attempt < 12; attempt++) {
    let x = random.uniform(0, size);
    let y = random.uniform(0, size);
    if (opening && attempt < 8) {
      // A gland's epithelium: nuclei ring the lumen.
      const around = random.uniform(0, 2 * Math.PI);
      const ring = random.uniform(2.5, 4.5) + r;
      x = opening.x + (opening.a + ring) * Math.cos(around);
      y = opening.y + (opening.b + ring) * Math.sin(around);
      if (x < 0 || y < 0 || x >= size || y >= size) continue;
    }
    if (empty[Math.floor(y) * size + Math.floor(x)]) continue;
    if (placed.every(([px, py, pr]) => Math.hypot(px - x, py - y) > 0.95 * (pr + r))) return [x, y];
  }
  return undefined;
}

function paintNucleus(
  { size, haematoxylin, eosin }: Canvas,
  [cx, cy]: [number, number],
  long: number,
  short: number,
  turn: number,
  depth: number,
  random: Random,
): void {
  const cos = Math.cos(turn);
  const sin = Math.sin(turn);
  const reach = Math.ceil(long + 1);
  const phase = random.uniform(0, 6);
  for (let y = Math.floor(cy) - reach; y <= cy + reach; y++) {
    for (let x = Math.floor(cx) - reach; x <= cx + reach; x++) {
      if (x < 0 || y < 0 || x >= size || y >= size) continue;
      const u = ((x - cx) * cos + (y - cy) * sin) / long;
      const v = ((y - cy) * cos - (x - cx) * sin) / short;
      const distance = Math.hypot(u, v);
      // The edge is one pixel soft.
      const cover = Math.min(Math.max((1 - distance) * short + 0.5, 0), 1);
      if (cover === 0) continue;
      const i = y * size + x;
      // A darker rim and a few clumps of chromatin.
      const clumps = 0.12 * Math.sin(2.4 * x + phase) * Math.cos(2.1 * y - phase);
      const amount = depth * (0.82 + 0.25 * distance * distance + clumps);
      haematoxylin[i] = haematoxylin[i]! * (1 - cover) + amount * cover;
      eosin[i] = eosin[i]! * (1 - 0.6 * cover);
    }
  }
}

/** Beer-Lambert: intensity = 10^-density, with a little sensor noise. */
function develop(
  { size, haematoxylin, eosin, empty }: Canvas,
  colours: StainColours,
  random: Random,
): Uint8Array {
  const rgb = new Uint8Array(size * size * 3);
  for (let i = 0; i < size * size; i++) {
    const h = empty[i] ? 0 : haematoxylin[i]!;
    const e = empty[i] ? 0.015 : eosin[i]!;
    const flicker = random.uniform(-3, 3);
    for (let c = 0; c < 3; c++) {
      const density = h * colours.haematoxylin[c]! + e * colours.eosin[c]!;
      // 10 ** -density, three times as fast.
      const value = 246 * Math.exp(-density * Math.LN10) + flicker + random.uniform(-2, 2);
      rgb[3 * i + c] = Math.min(Math.max(Math.round(value), 0), 255);
    }
  }
  return rgb;
}
