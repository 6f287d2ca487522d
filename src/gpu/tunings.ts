/**
 * The pinned tunings, one per kind of adapter, so that nobody has to tune: the same on every machine with such an adapter,
 * and in every run. Those of the CPU rasterisers are measured (docs/tuning.md); those of the GPUs follow what is published about
 * them, and wait for measurements.
 */
import { ATTENTION_TILE, type ProductPlan, type RegisterTile, type Tuning } from './tuning.ts';

function tile(
  threads: readonly [number, number],
  blocks: readonly [number, number],
  slice = 16,
): RegisterTile {
  return { kernel: 'tiled', threads, blocks, slice };
}

/** 128 x 128, 64 numbers to a thread: the fewest reads of workgroup memory per multiply-add; 16 KiB. */
const TILE_128 = tile([16, 16], [2, 2]);
/** 64 x 64 with 8 rows x 4 columns to a thread: half the registers, and four times the workgroups. */
const TILE_64 = tile([16, 8], [1, 2]);
/** 128 columns x 8 rows, and 32 rows: for products that read one operand once and the other over and over. */
const FEW_ROWS = tile([32, 2], [1, 1]);
const SKINNY = tile([16, 8], [2, 1]);
/** 16 columns x 64 rows. */
const FEW_COLUMNS = tile([4, 16], [1, 1], 32);

/**
 * A GPU of which nothing is known: one tile for all products, so that there is little to compile. Where a product has few rows, it
 * multiplies in vain, but such products wait for memory on most GPUs anyway.
 */
const gpu: Tuning = {
  name: 'gpu',
  class: 'gpu',
  elementwise: { workgroup: 256, vecs: 1 },
  copy: { workgroup: 256, elements: 1 },
  thread: { workgroup: 128 },
  rows: { group: 256, narrow: 32, middle: 64, wide: 256 },
  lines: { group: 128, least: 8, most: 64 },
  matmul: {
    fewRows: TILE_64,
    fewColumns: TILE_64,
    skinny: TILE_64,
    small: TILE_64,
    large: TILE_64,
  },
  conv: { fewRows: { kernel: 'rows', workgroup: 64 }, narrow: TILE_64, wide: TILE_64 },
  attention: ATTENTION_TILE,
  enoughGroups: 256,
};

/** What is known of GPUs that many have measured. */
const known: Tuning = {
  ...gpu,
  matmul: { ...gpu.matmul, fewRows: FEW_ROWS, fewColumns: FEW_COLUMNS, skinny: SKINNY },
};

/** 255 registers to a thread and 128 lanes to a multiprocessor: large tiles, of which 132 multiprocessors (H100, H200) hold two each. */
const nvidia: Tuning = {
  ...known,
  name: 'nvidia',
  matmul: { ...known.matmul, large: TILE_128 },
  conv: { ...gpu.conv, narrow: tile([16, 8], [2, 2]), wide: tile([8, 16], [2, 2]) },
};

/** As many registers; 64 KiB of workgroup memory for all groups of a compute unit leave room for half the slice only. */
const amd: Tuning = {
  ...known,
  name: 'amd',
  matmul: { ...known.matmul, large: tile([16, 16], [2, 2], 8) },
  conv: { ...gpu.conv, narrow: tile([16, 8], [2, 2], 8), wide: tile([16, 16], [2, 2], 8) },
};

/** 32 lanes, and fewer registers before occupancy falls. */
const apple: Tuning = { ...known, name: 'apple', enoughGroups: 128 };

/** 64 registers to a lane at 16 lanes: 4 x 4 to a thread. */
const TILE_4_BY_4 = tile([16, 16], [1, 1]);
const intel: Tuning = {
  ...known,
  name: 'intel',
  matmul: { ...known.matmul, small: TILE_4_BY_4, large: TILE_4_BY_4 },
  conv: { ...gpu.conv, narrow: TILE_4_BY_4, wide: TILE_4_BY_4 },
  enoughGroups: 128,
};

const ROWS: ProductPlan = { kernel: 'rows', workgroup: 8 };
const SUBGROUP: ProductPlan = { kernel: 'subgroup' };
const TEXELS: ProductPlan = { kernel: 'texels' };

/**
 * A CPU rasteriser: a workgroup costs about 0.5 µs and a barrier as much, so that threads are few and each does a lot; workgroup
 * memory is no faster than any other.
 */
const cpu: Tuning = {
  name: 'cpu',
  class: 'cpu',
  elementwise: { workgroup: 8, vecs: 64 },
  copy: { workgroup: 16, elements: 32 },
  thread: { workgroup: 16 },
  rows: { group: 8, narrow: 1, middle: 1, wide: 1 },
  lines: { group: 8, least: 1, most: 1 },
  matmul: {
    fewRows: SUBGROUP,
    fewColumns: SUBGROUP,
    skinny: SUBGROUP,
    small: TEXELS,
    large: TEXELS,
  },
  conv: { fewRows: ROWS, narrow: TEXELS, wide: TEXELS },
  attention: { kernel: 'texels', vecs: 16 },
  enoughGroups: 32,
};

export const TUNINGS = { gpu, nvidia, amd, apple, intel, cpu } as const;

export type TuningName = keyof typeof TUNINGS;
