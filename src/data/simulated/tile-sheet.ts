/** A picture of a simulated cohort: one row of tiles per slide. */

/** Anything with square RGB tiles. */
interface TiledSlide {
  readonly tiles: readonly Uint8Array[];
  readonly tileSize: number;
}

const GAP = 2;

/**
 * Lays out tiles of a cohort: `rows` slides spread evenly over the cohort, the first `columns` tiles
 * of each, on white with a gap of 2 pixels. Slides with fewer tiles leave white space.
 *
 * @returns RGB, uint8 `[height][width][3]`
 */
export function tileSheet(
  cohort: { readonly slides: readonly TiledSlide[] },
  { columns, rows }: { columns: number; rows: number },
): { width: number; height: number; rgb: Uint8Array } {
  const { slides } = cohort;
  const size = slides[0]?.tileSize ?? 0;
  const shown = Math.min(rows, slides.length);
  const width = columns * (size + GAP) - GAP;
  const height = shown * (size + GAP) - GAP;
  const rgb = new Uint8Array(Math.max(width * height * 3, 0)).fill(255);
  for (let row = 0; row < shown; row++) {
    const { tiles } = slides[Math.floor((row * slides.length) / shown)]!;
    for (const [column, tile] of tiles.slice(0, columns).entries()) {
      for (let y = 0; y < size; y++) {
        const from = tile.subarray(y * size * 3, (y + 1) * size * 3);
        const line = row * (size + GAP) + y;
        rgb.set(from, (line * width + column * (size + GAP)) * 3);
      }
    }
  }
  return { width, height, rgb };
}
