/** One simulated slide: its tissue, tile by tile, drawn and measured. */
import { type Random, seededRandom, smoothNoise } from './random.ts';
import {
  type Morphology,
  renderTile,
  type StainColours,
  TISSUES,
  type Tissue,
} from './render-tile.ts';

/** The truth about one tile that expression depends on. */
export interface TileTruth {
  tissue: Tissue;
  /** Fraction of the area covered by nuclei. */
  nuclearArea: number;
  /** Nuclear area times the optical density of haematoxylin in nuclei. */
  chromatin: number;
  /** Eosin of fibres, deeper with texture; 0 outside stroma. */
  collagen: number;
  /** Fraction of the area without tissue (lumen, fat). */
  empty: number;
  /** Mean nuclear radius asked for, in pixels. */
  radius: number;
}

export interface DrawnSlide {
  tiles: Uint8Array[];
  /** Top-left corners in pixels, (x, y) per tile, `[n, 2]`. */
  coords: Float32Array;
  truth: TileTruth[];
}

/** Standard normal latents of a slide; a patient's slides share part of them. */
const LATENTS = 8 + TISSUES.length;
/** How much of a latent's variance belongs to the patient. */
const PATIENT_SHARE = 0.5;

/** Log-odds of the tissues in an average slide, in the order of `TISSUES`. */
const TISSUE_LOGITS = [1.3, 1.1, 0.5, 0.3, -0.2, 0.2];

/** Mean stain colours of a laboratory (Macenko et al. 2009), varied a little per slide. */
const HAEMATOXYLIN = [0.563, 0.72, 0.406] as const;
const EOSIN = [0.216, 0.801, 0.558] as const;

export function simulateSlide(
  keys: { seed: number; patient: number; slide: number },
  tileCount: number,
  tileSize: number,
): DrawnSlide {
  const ofPatient = seededRandom(keys.seed, 1, keys.patient);
  const random = seededRandom(keys.seed, 2, keys.slide);
  const z = Array.from(
    { length: LATENTS },
    () =>
      Math.sqrt(PATIENT_SHARE) * ofPatient.normal() +
      Math.sqrt(1 - PATIENT_SHARE) * random.normal(),
  );
  const colours = stainColours(random);
  const cells = tissueCells(tileCount);
  const tissues = tissueMap(cells, z.slice(8), random);
  const hotspot = random.uniform(0, 1);
  const hot = hotTiles(cells, tissues, random);

  const tiles: Uint8Array[] = [];
  const truth: TileTruth[] = [];
  for (const [i, tissue] of tissues.entries()) {
    const vary = (latent: number, scale: number) =>
      Math.exp(scale * (z[latent]! + 0.4 * random.normal()));
    const heat = hot.has(i) ? hotspot : 0;
    const morphology: Morphology = {
      tissue,
      density: 12 * vary(0, 0.28),
      radius: 2.8 * vary(1, 0.16) * (1 + 0.8 * heat),
      elongation: Math.max(1, 1.35 * vary(2, 0.15)),
      chromatin: 0.6 * vary(3, 0.2) * (1 + 0.3 * heat),
      eosin: 0.27 * vary(4, 0.25),
      fibre: 1 / (1 + Math.exp(-z[5]! - 0.4 * random.normal())),
      lumen: Math.min(0.24 * vary(6, 0.25), 0.4),
    };
    const drawn = renderTile(tileSize, morphology, colours, random);
    tiles.push(drawn.rgb);
    truth.push({
      tissue,
      nuclearArea: drawn.nuclearArea,
      chromatin: drawn.nuclearArea * morphology.chromatin,
      collagen: tissue === 'stroma' ? morphology.eosin * (0.5 + morphology.fibre) : 0,
      empty: drawn.empty,
      radius: morphology.radius,
    });
  }
  const coords = Float32Array.from(cells.flatMap(([x, y]) => [x * tileSize, y * tileSize]));
  return { tiles, coords, truth };
}

function stainColours(random: Random): StainColours {
  const varied = (colour: readonly [number, number, number]): [number, number, number] => {
    const strength = Math.exp(0.05 * random.normal());
    const shift = () => strength * (1 + 0.03 * random.normal());
    return [colour[0] * shift(), colour[1] * shift(), colour[2] * shift()];
  };
  return { haematoxylin: varied(HAEMATOXYLIN), eosin: varied(EOSIN) };
}

/** A round piece of tissue: the `count` grid cells nearest to the middle of a square, row by row. */
function tissueCells(count: number): [number, number][] {
  const side = Math.ceil(Math.sqrt(count * 1.3));
  const middle = (side - 1) / 2;
  const cells: [number, number][] = [];
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) cells.push([x, y]);
  const fromMiddle = ([x, y]: [number, number]) => Math.hypot(x - middle, y - middle);
  cells.sort((a, b) => fromMiddle(a) - fromMiddle(b) || a[1] - b[1] || a[0] - b[0]);
  return cells.slice(0, count).sort((a, b) => a[1] - b[1] || a[0] - b[0]);
}

/** A tissue per cell: the largest of log-odds plus smooth noise, so that regions form. */
function tissueMap(cells: [number, number][], latents: number[], random: Random): Tissue[] {
  const fields = TISSUES.map(() => smoothNoise(random));
  const scores = cells.map(([x, y]) =>
    TISSUES.map(
      (_, k) =>
        TISSUE_LOGITS[k]! +
        0.6 * latents[k]! +
        1.9 * fields[k]!(x / 2.2 + 0.37, y / 2.2 + 0.61) +
        0.35 * random.normal(),
    ),
  );
  const tissues = scores.map((score) => TISSUES[score.indexOf(Math.max(...score))]!);
  // Every slide has some tumour, so that its nuclei can be measured.
  const tumour = scores.map((score) => score[0]!);
  tissues[tumour.indexOf(Math.max(...tumour))] = 'tumour';
  return tissues;
}

/** A few neighbouring tumour tiles with large dark nuclei: what a mean over tiles hides. */
function hotTiles(cells: [number, number][], tissues: Tissue[], random: Random): Set<number> {
  const tumour = tissues.flatMap((tissue, i) => (tissue === 'tumour' ? [i] : []));
  const [cx, cy] = cells[tumour[Math.floor(random.uniform(0, tumour.length))]!]!;
  const near = tumour.filter((i) => Math.hypot(cells[i]![0] - cx, cells[i]![1] - cy) < 1.2);
  return new Set(near);
}
