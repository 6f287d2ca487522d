/**
 * All that kernels do otherwise on one adapter than on another, as plain data: which variant runs a shape of work, how large
 * its tiles and workgroups are. Results may differ in their last bits between tunings (sums are added in another order),
 * so that the one in use belongs to what a result was computed with. `tunings.ts` has the pinned ones.
 */
import { HistogradError } from '../errors.ts';
import type { AdapterClass } from './adapter.ts';

/** How a workgroup shares a tile of a product (shaders/shared/register_tile.wgsl). */
export interface RegisterTile {
  readonly kernel: 'tiled';
  /** Threads along the columns and the rows of the tile. */
  readonly threads: readonly [x: number, y: number];
  /** Blocks of 4 columns, and of 4 rows, that each thread has. */
  readonly blocks: readonly [x: number, y: number];
  /** Steps of K staged at once. */
  readonly slice: number;
}

export type ProductPlan =
  | RegisterTile
  /** 8 rows and 4 columns to a thread, nothing shared. */
  | { readonly kernel: 'rows'; readonly workgroup: number }
  /** A workgroup is a subgroup; where subgroups are of no one size of 4 or 8, `rows`. */
  | { readonly kernel: 'subgroup' }
  /** The same with operands copied to textures, where they are read often enough; where subgroups are not of 8 lanes, `subgroup`. */
  | { readonly kernel: 'texels' };

export const MATMUL_SHAPES = ['fewRows', 'fewColumns', 'skinny', 'small', 'large'] as const;
export type MatmulShape = (typeof MATMUL_SHAPES)[number];

/** Rows of a convolution's product are the output channels of a group, or the input's for its gradient. */
export const CONV_SHAPES = ['fewRows', 'narrow', 'wide'] as const;
export type ConvShape = (typeof CONV_SHAPES)[number];

/** How a workgroup shares attention (shaders/attention-tiled.wgsl). */
export interface AttentionTile {
  readonly kernel: 'tiled';
  /** Threads along the columns and the rows of a tile of scores; each has 4 x 4 of them. */
  readonly threads: readonly [x: number, y: number];
  /** Elements of an operand's row staged at once. */
  readonly slice: number;
  /** The most vec4s of the output's width to a thread; a wider output makes the scores again for each pass. */
  readonly vecs: number;
}

export type AttentionPlan =
  | AttentionTile
  /** A workgroup is a subgroup; where subgroups are of no one size of 4 or 8, `ATTENTION_TILE`. `vecs` as above, of a lane. */
  | { readonly kernel: 'subgroup'; readonly vecs: number }
  /** As `texels` of products. */
  | { readonly kernel: 'texels'; readonly vecs: number };

/** 64 rows x 32 columns; 14.5 KiB. */
export const ATTENTION_TILE: AttentionTile = {
  kernel: 'tiled',
  threads: [8, 16],
  slice: 16,
  vecs: 4,
};

export interface Tuning {
  /** For people; and what tells a tuning from others in records of results. */
  readonly name: string;
  /** Decides where kernels have a form for each class (vec4 loads along rows, say). */
  readonly class: AdapterClass;
  /** Kernels that walk float32 as vec4s: threads, and vec4s to a thread. */
  readonly elementwise: { readonly workgroup: number; readonly vecs: number };
  /** Kernels that walk single elements. */
  readonly copy: { readonly workgroup: number; readonly elements: number };
  /** Kernels with one thread per task. */
  readonly thread: { readonly workgroup: number };
  /** Threads of a workgroup, and how many of them (all at most) share a row of up to 64, of up to 1024, and of more elements. */
  readonly rows: {
    readonly group: number;
    readonly narrow: number;
    readonly middle: number;
    readonly wide: number;
  };
  /** Threads of a workgroup, and the least and the most that share a line but exchange nothing. */
  readonly lines: { readonly group: number; readonly least: number; readonly most: number };
  readonly matmul: Readonly<Record<MatmulShape, ProductPlan>>;
  readonly conv: Readonly<Record<ConvShape, ProductPlan>>;
  /** In float16 on a matrix unit attention has sizes of its own (matrix-kernels.ts). */
  readonly attention: AttentionPlan;
  /** Workgroups that keep the adapter busy: long sums are split until there are as many. */
  readonly enoughGroups: number;
}

/** Products with no more rows or columns leave half of a large tile empty. */
const SMALL_SIDE = 64;

/** The class of shapes that a matrix product belongs to. */
export function matmulShape(size: { batch: number; m: number; n: number }): MatmulShape {
  const { batch, m, n } = size;
  if (m <= 8) return 'fewRows';
  if (n <= 16) return 'fewColumns';
  if (m <= 32) return 'skinny';
  return Math.min(m, n) <= SMALL_SIDE || batch * m * n < 2 ** 21 ? 'small' : 'large';
}

export function convShape(rows: number): ConvShape {
  if (rows <= 8) return 'fewRows';
  return rows <= 64 ? 'narrow' : 'wide';
}

/** Columns and rows of a product that a workgroup computes. */
export function tileOf(plan: ProductPlan, subgroupSize: number): readonly [number, number] {
  switch (plan.kernel) {
    case 'tiled':
      return [4 * plan.threads[0] * plan.blocks[0], 4 * plan.threads[1] * plan.blocks[1]];
    case 'rows':
      return [4 * plan.workgroup, 8];
    case 'subgroup':
      return [4 * subgroupSize, 4 * subgroupSize];
    case 'texels':
      return [8 * subgroupSize, 4 * subgroupSize];
  }
}

/** The overrides of a product's kernel. */
export function productOverrides(plan: ProductPlan, subgroupSize: number): Record<string, number> {
  switch (plan.kernel) {
    case 'tiled': {
      const [THREADS_X, THREADS_Y] = plan.threads;
      const [BLOCKS_X, BLOCKS_Y] = plan.blocks;
      const THREADS = THREADS_X * THREADS_Y;
      return { THREADS_X, THREADS_Y, BLOCKS_X, BLOCKS_Y, SLICE: plan.slice, THREADS };
    }
    case 'rows':
      return { WORKGROUP: plan.workgroup };
    case 'subgroup':
    case 'texels':
      return { LANES: subgroupSize };
  }
}

/** Is there a kernel whose workgroup is a subgroup of this size (0: of no one size)? */
export function isLanes(subgroupSize: number): boolean {
  return subgroupSize === 4 || subgroupSize === 8;
}

/** What the kernels that read textures are written for. */
const TEXELS_LANES = 8;

/** The plan that this subgroup size allows. */
export function possible(plan: ProductPlan, subgroupSize: number): ProductPlan {
  if (plan.kernel !== 'subgroup' && plan.kernel !== 'texels') return plan;
  if (!isLanes(subgroupSize)) return { kernel: 'rows', workgroup: 8 };
  return subgroupSize === TEXELS_LANES ? plan : { kernel: 'subgroup' };
}

/** The same for attention. */
export function possibleAttention(plan: AttentionPlan, subgroupSize: number): AttentionPlan {
  if (plan.kernel === 'tiled') return plan;
  if (!isLanes(subgroupSize)) return ATTENTION_TILE;
  return subgroupSize === TEXELS_LANES ? plan : { kernel: 'subgroup', vecs: plan.vecs };
}

/** Bytes of workgroup memory. */
function tileBytes({ threads, blocks, slice }: RegisterTile): number {
  return 16 * slice * (threads[0] * blocks[0] + threads[1] * blocks[1]);
}

/** Slices of rows (or a vec4 per thread) and of columns, and the weights. */
function attentionBytes({ threads: [x, y], slice }: AttentionTile): number {
  return 16 * (Math.max(slice * y, x * y) + slice * x + 4 * x * (y + 1));
}

/** What every WebGPU device offers; a tuning needs no more. */
const MOST_THREADS = 256;
const MOST_BYTES = 16384;

/**
 * Says what is wrong with the numbers of a tuning, by name; empty when kernels can run with it on any WebGPU device.
 */
export function tuningProblems(tuning: Tuning): string[] {
  const problems: string[] = [];
  const check = (fine: boolean, name: string, found: unknown, expected: string) => {
    if (!fine) problems.push(`${name} is ${JSON.stringify(found)}, expected ${expected}`);
  };
  const power = (name: string, n: number, most: number, least = 1) =>
    check(
      Number.isInteger(Math.log2(n)) && n >= least && n <= most,
      name,
      n,
      `a power of two from ${least} to ${most}`,
    );
  const { elementwise, copy, thread, rows, lines, enoughGroups } = tuning;
  for (const [name, { workgroup }] of Object.entries({ elementwise, copy, thread })) {
    power(`${name}.workgroup`, workgroup, MOST_THREADS);
  }
  power('elementwise.vecs', elementwise.vecs, 1024);
  power('copy.elements', copy.elements, 1024);
  power('rows.group', rows.group, MOST_THREADS);
  for (const name of ['narrow', 'middle', 'wide'] as const) {
    power(`rows.${name}`, rows[name], MOST_THREADS);
  }
  power('lines.group', lines.group, MOST_THREADS);
  power('lines.most', lines.most, lines.group);
  power('lines.least', lines.least, lines.most);
  power('enoughGroups', enoughGroups, 65536);
  for (const family of ['matmul', 'conv'] as const) {
    for (const [shape, plan] of Object.entries<ProductPlan>(tuning[family])) {
      const name = `${family}.${shape}`;
      if (plan.kernel === 'rows') power(`${name}.workgroup`, plan.workgroup, MOST_THREADS);
      if (plan.kernel !== 'tiled') continue;
      const [x, y] = plan.threads;
      power(`${name}.threads[0]`, x, MOST_THREADS, 2);
      power(`${name}.threads[1]`, y, MOST_THREADS, 2);
      power(`${name}.blocks[0]`, plan.blocks[0], 2);
      power(`${name}.blocks[1]`, plan.blocks[1], 2);
      power(`${name}.slice`, plan.slice, 32, 4);
      check(x * y <= MOST_THREADS, `${name}.threads`, plan.threads, `up to ${MOST_THREADS} in all`);
      // A convolution keeps the beginnings of its windows there, too.
      const windows = family === 'conv' ? Math.max(16 * x * plan.blocks[0], 8 * plan.slice) : 0;
      const bytes = tileBytes(plan) + windows;
      check(bytes <= MOST_BYTES, `${name}'s workgroup memory`, bytes, `up to ${MOST_BYTES} bytes`);
    }
  }
  const { attention } = tuning;
  if (attention.kernel !== 'tiled') power('attention.vecs', attention.vecs, 16, 4);
  else {
    const { threads, slice, vecs } = attention;
    power('attention.threads[0]', threads[0], MOST_THREADS, 2);
    power('attention.threads[1]', threads[1], MOST_THREADS, 2);
    power('attention.slice', slice, 32, 4);
    power('attention.vecs', vecs, 4);
    const all = threads[0] * threads[1];
    check(all <= MOST_THREADS, 'attention.threads', threads, `up to ${MOST_THREADS} in all`);
    const bytes = attentionBytes(attention);
    check(bytes <= MOST_BYTES, "attention's workgroup memory", bytes, `up to ${MOST_BYTES} bytes`);
  }
  return problems;
}

/** @throws HistogradError `bad-tuning` naming every number that no kernel can run with */
export function requireTuning(tuning: Tuning): Tuning {
  const problems = tuningProblems(tuning);
  if (problems.length === 0) return tuning;
  throw new HistogradError(
    'bad-tuning',
    `The tuning '${tuning.name}' cannot be used: ${problems.join('; ')}.`,
    'Take a pinned one by its name, or make one with npm run bench -- --tune.',
  );
}

/** Short mark of a tuning's content: equal marks, equal kernels. */
export function tuningMark(tuning: Tuning): string {
  const { name: _, ...content } = tuning;
  let hash = 0x811c9dc5;
  for (const c of canonical(content)) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
