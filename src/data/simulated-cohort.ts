/**
 * A simulated cohort: small drawings of tissue whose expression is a known function of what was
 * drawn, so that the best score any model can reach is known. For demonstrations and tests; it says
 * nothing about biology, and every gene's name starts with `SIM_`.
 */
import { HistogradError } from '../errors.ts';
import { seededRandom } from './simulated/random.ts';
import type { Tissue } from './simulated/render-tile.ts';
import { simulateExpression } from './simulated/simulate-genes.ts';
import { simulateSlide } from './simulated/simulate-slide.ts';

interface SimulatedSlide {
  /** `SIM-P01-S1`: patient and slide. */
  id: string;
  /** `SIM-P01`. */
  patient: string;
  /** RGB tiles, uint8 `[tileSize][tileSize][3]` each. */
  tiles: Uint8Array[];
  tileSize: number;
  /** Top-left corner of each tile in pixels, (x, y), `[n, 2]`. */
  coords: Float32Array;
  /** True tissue of each tile. */
  tissues: Tissue[];
  /** Observed expression, `[G]`, on a scale like log2(1 + x); never negative. */
  expression: Float32Array;
  /** Expression without noise, `[G]`. */
  signal: Float32Array;
}

export interface SimulatedCohort {
  slides: SimulatedSlide[];
  genes: string[];
  /**
   * Per gene, the Pearson correlation over these slides of the noise-free signal with the observed
   * expression: what a model that knew the drawings perfectly would score. 0 for genes of noise only.
   */
  reachable: Float32Array;
  /** Mean of `reachable` over all genes. */
  reachableMean: number;
  /** The same correlation in the limit of many slides, from the noise's known variance. */
  expectedReachable: Float32Array;
  /**
   * A gene's noise-free signal in every tile of a slide; their mean is the slide's. Null for genes whose signal is not a mean over
   * tiles.
   */
  tileSignal(slide: number, gene: number): Float32Array | null;
}

export interface SimulatedCohortOptions {
  seed: number;
  patients: number;
  slidesPerPatient: number;
  /** Fewest and most tiles of a slide; each slide draws its own number. */
  tilesPerSlide: readonly [number, number];
  /** Side of a tile in pixels, 16..256. */
  tileSize: number;
  genes: number;
  /** Standard deviation of a typical gene's noise, in standard deviations of its signal. */
  noise: number;
}

/** The cohort of the demonstration: 72 slides of 36 patients, 160 genes. */
export const DEMO_COHORT: SimulatedCohortOptions = {
  seed: 1,
  patients: 36,
  slidesPerPatient: 2,
  tilesPerSlide: [24, 48],
  tileSize: 32,
  genes: 160,
  noise: 0.6,
};

/**
 * Simulates a cohort; a pure function of its options.
 *
 * @throws HistogradError `bad-option` when an option is out of its range
 */
export function simulateCohort(options: SimulatedCohortOptions): SimulatedCohort {
  const { seed, patients, slidesPerPatient, tilesPerSlide, tileSize, genes, noise } = options;
  const [fewest, most] = tilesPerSlide;
  wholeNumber('seed', seed, 0, 2 ** 32 - 1);
  wholeNumber('patients', patients, 1, 10_000);
  wholeNumber('slidesPerPatient', slidesPerPatient, 1, 1000);
  wholeNumber('tilesPerSlide[0]', fewest, 1, 100_000);
  wholeNumber('tilesPerSlide[1]', most, fewest, 100_000);
  wholeNumber('tileSize', tileSize, 16, 256);
  wholeNumber('genes', genes, 1, 100_000);
  // The reachable score is a correlation over slides.
  wholeNumber('patients x slidesPerPatient', patients * slidesPerPatient, 3, 1_000_000);
  if (!(noise >= 0 && Number.isFinite(noise)))
    throw badOption('noise', noise, 'a number from 0 up');

  const drawn = Array.from({ length: patients * slidesPerPatient }, (_, slide) => {
    const patient = Math.floor(slide / slidesPerPatient);
    const count = Math.floor(seededRandom(seed, 4, slide).uniform(fewest, most + 1));
    return { patient, ...simulateSlide({ seed, patient, slide }, count, tileSize) };
  });
  const simulated = simulateExpression(
    drawn.map(({ truth }) => truth),
    genes,
    noise,
    seed,
  );
  const slides = drawn.map(({ patient, tiles, coords, truth }, slide): SimulatedSlide => {
    const name = `SIM-P${String(patient + 1).padStart(2, '0')}`;
    return {
      id: `${name}-S${(slide % slidesPerPatient) + 1}`,
      patient: name,
      tiles,
      tileSize,
      coords,
      tissues: truth.map(({ tissue }) => tissue),
      expression: simulated.expression[slide]!,
      signal: simulated.signal[slide]!,
    };
  });
  const reachable = reachableScores(slides);
  return {
    slides,
    genes: simulated.genes,
    reachable,
    reachableMean: reachable.reduce((sum, value) => sum + value, 0) / genes,
    expectedReachable: simulated.reachable,
    tileSignal: simulated.tileSignal,
  };
}

/** Per gene, the correlation over the given slides of the signal with what is observed; 0 for genes of noise only. */
export function reachableScores(
  slides: readonly Pick<SimulatedSlide, 'signal' | 'expression'>[],
): Float32Array {
  return Float32Array.from({ length: slides[0]?.signal.length ?? 0 }, (_, g) =>
    correlation(
      slides.map(({ signal }) => signal[g]!),
      slides.map(({ expression }) => expression[g]!),
    ),
  );
}

/** Pearson correlation; 0 when either side is constant. */
function correlation(a: number[], b: number[]): number {
  const meanA = a.reduce((sum, value) => sum + value, 0) / a.length;
  const meanB = b.reduce((sum, value) => sum + value, 0) / b.length;
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (const [i, value] of a.entries()) {
    product += (value - meanA) * (b[i]! - meanB);
    squaresA += (value - meanA) ** 2;
    squaresB += (b[i]! - meanB) ** 2;
  }
  return squaresA > 0 && squaresB > 0 ? product / Math.sqrt(squaresA * squaresB) : 0;
}

function wholeNumber(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw badOption(name, value, `a whole number from ${low} to ${high}`);
  }
}

function badOption(name: string, found: number, expected: string): HistogradError {
  return new HistogradError(
    'bad-option',
    `simulateCohort: ${name} is ${found}, expected ${expected}.`,
    `Pass a ${name} in that range.`,
  );
}
