/** What choosing tiles asks of a tile's own pixels. Question and answer are plain data: a thread that decodes can answer. */
import { shannonScore } from './selectors/shannon.ts';
import { cannyScore, dogScore, gradientScore, logScore } from './selectors/texture.ts';
import type { RgbImage } from './slide.ts';
import { saturatedPixels, sequoiaTile } from './tissue-mask.ts';

/** Scores that a tile's pixels give on the CPU, papers/002, Table 2 (`ig`: image gradient). */
export type PixelScore = 'shannon' | 'ig' | 'canny' | 'dog' | 'log' | 'otsu';

export interface TileQuestion {
  /** Null for none. */
  readonly score: PixelScore | null;
  /** Judge the tissue by SEQUOIA's rule. */
  readonly sequoia: boolean;
  /** For `otsu`: the slide's saturation (0..1) above which a pixel is tissue. A tile's own would find tissue in an empty one. */
  readonly saturation: number;
}

export interface TileMeasure {
  /** False for a tile that SEQUOIA's rule drops; it has no score. */
  readonly kept: boolean;
  /** Fraction of tissue (0..1) by SEQUOIA's rule; null without it. */
  readonly tissue: number | null;
  readonly score: number | null;
}

export async function measureTile(tile: RgbImage, question: TileQuestion): Promise<TileMeasure> {
  const own = question.sequoia ? sequoiaTile(tile) : null;
  const kept = own?.kept ?? true;
  const score = kept && question.score !== null ? await scoreTile(tile, question) : null;
  return { kept, tissue: own?.tissue ?? null, score };
}

async function scoreTile(tile: RgbImage, { score, saturation }: TileQuestion): Promise<number> {
  switch (score) {
    case 'shannon':
      return shannonScore(tile);
    case 'ig':
      return gradientScore(tile);
    case 'canny':
      return cannyScore(tile);
    case 'dog':
      return dogScore(tile);
    case 'log':
      return logScore(tile);
    default: {
      const pixels = saturatedPixels(tile, saturation);
      return pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
    }
  }
}
