/** What numpy, scipy and torch make of the pictures: see test/reference/golden_slides.py. */
import goldens from '../reference/slides/slides.json' with { type: 'json' };
import { flat, tissue } from './pictures.ts';

/** Every golden case with its picture. */
export const GOLDEN_CASES = goldens.cases.map((golden) => ({
  ...golden,
  title: `${golden.picture} ${golden.width} x ${golden.height}`,
  image:
    golden.picture === 'flat'
      ? flat(golden.width, golden.height, [200 + golden.seed, 150, 180])
      : tissue(golden.width, golden.height, golden.seed),
}));

export const GOLDEN_RESAMPLE = goldens.resample;
