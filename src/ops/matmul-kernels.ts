/**
 * The products themselves, outside the tape: which matmul kernel runs where, and how a product whose
 * operands exceed one binding is cut.
 */
import rowsCode from '../../shaders/matmul-rows.wgsl';
import subgroupCode from '../../shaders/matmul-subgroup.wgsl';
import tiledCode from '../../shaders/matmul-tiled.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { bindSpan, halves, type Part, spanFits } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';

const KERNELS = {
  subgroup: defineKernel('matmul-subgroup', subgroupCode),
  tiled: defineKernel('matmul-tiled', tiledCode),
  rows: defineKernel('matmul-rows', rowsCode),
};

export type MatmulKernel = keyof typeof KERNELS;

export interface Product {
  batch: number;
  m: number;
  n: number;
  k: number;
  transposeA: boolean;
  transposeB: boolean;
  /** Adds to what the result holds, instead of overwriting it. */
  accumulate?: boolean;
}

/** A matrix, or a batch of them, inside a tensor. Numbers are elements. */
export interface Matrix {
  readonly tensor: Tensor;
  /** Its first element (0). */
  readonly start?: number;
  /** How far apart its stored rows begin (their length). */
  readonly row?: number;
  /** How far apart the matrices of a batch begin (their size); 0 for one matrix against a whole batch. */
  readonly batch?: number;
}

/** The kernel for a product on this adapter. */
export function chooseMatmul(device: Device, m: number): MatmulKernel {
  if (device.class === 'gpu') return m <= 8 ? 'rows' : 'tiled';
  const shuffles = device.subgroupSize === 4 || device.subgroupSize === 8;
  return shuffles && m > 8 ? 'subgroup' : 'rows';
}

type Axis = 'batch' | 'm' | 'n' | 'k';
type Region = Readonly<Record<Axis, Part>>;

/** A `Matrix` with everything said, and the axes of the product that its stored rows and columns are. */
interface Operand extends Required<Matrix> {
  readonly rows: Axis;
  readonly columns: Axis;
}

function operand(matrix: Tensor | Matrix, product: Product, rows: Axis, columns: Axis): Operand {
  const given = matrix instanceof Tensor ? { tensor: matrix } : matrix;
  const row = given.row ?? product[columns];
  return { start: 0, batch: row * product[rows], ...given, row, rows, columns };
}

/** The elements of an operand that a region of the product touches. */
function span({ start, row, batch, rows, columns }: Operand, region: Region): [number, number] {
  const [r, c, b] = [region[rows], region[columns], region.batch];
  const empty = r.count === 0 || c.count === 0 || b.count === 0;
  return [
    start + b.start * batch + r.start * row + c.start,
    empty ? 0 : (b.count - 1) * batch + (r.count - 1) * row + c.count,
  ];
}

/** Where to cut for this operand to fit one binding; null when it does. */
function axisToCut(operand: Operand, region: Region): Axis | null {
  if (spanFits(operand.tensor, ...span(operand, region))) return null;
  if (operand.batch > 0 && region.batch.count > 1) return 'batch';
  return region[operand.rows].count > 1 ? operand.rows : operand.columns;
}

interface Grid {
  overrides: Record<string, number | boolean>;
  /** Columns and rows of the result that a workgroup computes. */
  tile: readonly [columns: number, rows: number];
}

const GRIDS: Record<MatmulKernel, (device: Device) => Grid> = {
  subgroup: ({ subgroupSize: LANES }) => ({
    overrides: { LANES },
    tile: [4 * LANES, 4 * LANES],
  }),
  tiled: () => ({ overrides: {}, tile: [64, 64] }),
  rows({ class: tuning }) {
    const WORKGROUP = tuning === 'cpu' ? 8 : 64;
    return { overrides: { WORKGROUP }, tile: [4 * WORKGROUP, 8] };
  },
};

/** Do the stored rows of a span begin at multiples of 4? `along` is M or N where that runs along them. */
function aligned({ row, batch }: Operand, start: number, along: number): boolean {
  return [row, batch, start, along].every((n) => n % 4 === 0);
}

/**
 * out = op(a) op(b) (+ bias); the caller has checked the shapes. What exceeds one binding is cut in halves:
 * the rows of op(a), the columns of op(b), the batch, or K, whose parts then add up in order.
 */
export function multiplyInto(
  a: Tensor | Matrix,
  b: Tensor | Matrix,
  bias: Tensor | null,
  out: Tensor | Matrix,
  product: Product,
  choice?: MatmulKernel,
): void {
  const { transposeA, transposeB, batch, m, n, k, accumulate = false } = product;
  const left = transposeA ? operand(a, product, 'k', 'm') : operand(a, product, 'm', 'k');
  const right = transposeB ? operand(b, product, 'n', 'k') : operand(b, product, 'k', 'n');
  const result = operand(out, product, 'm', 'n');
  const { device } = result.tensor;
  const kernel = choice ?? chooseMatmul(device, m);
  const { overrides, tile } = GRIDS[kernel](device);
  const most = device.limits.maxComputeWorkgroupsPerDimension;

  const multiply = (region: Region, adding: boolean): void => {
    const groups = [
      Math.ceil(region.n.count / tile[0]),
      Math.ceil(region.m.count / tile[1]),
      region.batch.count,
    ] as const;
    const crowded = (['n', 'm', 'batch'] as const).find((_, i) => groups[i]! > most);
    const cut =
      crowded ?? axisToCut(result, region) ?? axisToCut(left, region) ?? axisToCut(right, region);
    if (cut) {
      const [first, second] = halves(region[cut]);
      multiply({ ...region, [cut]: first }, adding);
      multiply({ ...region, [cut]: second }, adding || cut === 'k');
      return;
    }
    const [x, y, c] = [left, right, result].map((o) => bindSpan(o.tensor, ...span(o, region)));
    const added = bias && region.k.start === 0 ? bias : null;
    const z = added ? bindSpan(added, region.n.start, region.n.count) : y!;
    const vectors = kernel === 'subgroup' && aligned(result, c!.start, region.n.count);
    device.run(KERNELS[kernel], vectors ? 'multiply4' : 'multiply', {
      buffers: {
        a: x!.binding,
        a4: x!.binding,
        b: y!.binding,
        b4: y!.binding,
        bias: z.binding,
        c: c!.binding,
        out4: c!.binding,
      },
      params: {
        m: region.m.count,
        n: region.n.count,
        k: region.k.count,
        a_start: x!.start,
        a_row: left.row,
        a_batch: left.batch,
        b_start: y!.start,
        b_row: right.row,
        b_batch: right.batch,
        c_start: c!.start,
        c_row: result.row,
        c_batch: result.batch,
        bias_start: z.start,
        accumulate: adding ? 1 : 0,
      },
      overrides: {
        TRANS_A: transposeA,
        TRANS_B: transposeB,
        BIAS: added !== null,
        ...overrides,
        ...(kernel === 'subgroup' && {
          VEC_A: aligned(left, x!.start, transposeA ? region.m.count : 0),
          VEC_B: aligned(right, y!.start, transposeB ? 0 : region.n.count),
        }),
      },
      groups,
    });
  };
  const whole = (count: number) => ({ start: 0, count });
  multiply({ batch: whole(batch), m: whole(m), n: whole(n), k: whole(k) }, accumulate);
}
