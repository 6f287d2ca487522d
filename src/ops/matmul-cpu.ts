/** How CPU rasterisers run a matrix product: shaders/matmul-subgroup.wgsl. */
import { tileOf } from '../gpu/tuning.ts';
import type { Product } from './matmul-kernels.ts';

/** Lanes share so many columns of a narrow tile each. */
const NARROW_COLUMNS = 2;

/** Are there so few rows that a narrow tile should take them as the columns of the transposed product? */
export function fewRows({ m, n }: Pick<Product, 'm' | 'n'>, lanes: number): boolean {
  return m <= NARROW_COLUMNS * lanes && m < n;
}

/** The product of the transposed operands in the other order: the same result, stored as it was. */
export function turned(product: Product): Product {
  const { m, n, transposeA, transposeB, transposeC = false } = product;
  return {
    ...product,
    m: n,
    n: m,
    transposeA: !transposeB,
    transposeB: !transposeA,
    transposeC: !transposeC,
  };
}

/** Steps of K in one go: a tile's part of both operands (0.4 MB) and their pages then stay in the caches of a core. */
export const MOST_TEXEL_STEPS = 1024;

/** The tile of a workgroup (columns, rows) and what the kernel is told of it. */
export function subgroupTile({ n, transposeC = false }: Product, lanes: number) {
  const BLOCKS = n <= NARROW_COLUMNS * lanes ? lanes / 2 : lanes;
  return {
    tile: [4 * BLOCKS, 4 * lanes] as const,
    overrides: { LANES: lanes, BLOCKS, TRANS_C: transposeC },
  };
}

/** The same for operands as textures. */
export function texelsTile({ transposeC = false }: Product, lanes: number) {
  const tile = tileOf({ kernel: 'texels' }, lanes);
  return { tile, overrides: { LANES: lanes, BLOCKS: tile[0] / 4, TRANS_C: transposeC } };
}
