/**
 * The products themselves, outside the tape: which matmul kernel runs where, and how a product whose
 * operands exceed one binding is cut.
 */
import partsCode from '../../shaders/matmul-parts.wgsl';
import rowsCode from '../../shaders/matmul-rows.wgsl';
import halfRowsCode from '../../shaders/matmul-rows.wgsl?half';
import subgroupCode from '../../shaders/matmul-subgroup.wgsl';
import texelsCode from '../../shaders/matmul-subgroup.wgsl?texels';
import tiledCode from '../../shaders/matmul-tiled.wgsl';
import halfTiledCode from '../../shaders/matmul-tiled.wgsl?half';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import {
  matmulShape,
  type ProductPlan,
  possible,
  productOverrides,
  tileOf,
} from '../gpu/tuning.ts';
import { readsHalves, widened } from '../tensor/convert.ts';
import { threadPlan } from '../tensor/grid.ts';
import { bindSpan, cut, exactSpan, halves, type Part, spanFits } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { fewRows, MOST_TEXEL_STEPS, subgroupTile, texelsTile, turned } from './matmul-cpu.ts';
import { matrixTile } from './matrix-kernels.ts';
import { fitTexels, repaysTexels } from './texel-operands.ts';

const KERNELS = {
  subgroup: defineKernel('matmul-subgroup', subgroupCode),
  texels: defineKernel('matmul-texels', texelsCode),
  tiled: defineKernel('matmul-tiled', tiledCode),
  rows: defineKernel('matmul-rows', rowsCode),
};

/** For operands in float16. */
const HALF_KERNELS = {
  tiled: defineKernel('matmul-tiled-half', halfTiledCode),
  rows: defineKernel('matmul-rows-half', halfRowsCode),
};

const PARTS = defineKernel('matmul-parts', partsCode);

export interface Product {
  batch: number;
  m: number;
  n: number;
  k: number;
  transposeA: boolean;
  transposeB: boolean;
  /** The result is stored [n, m], and the bias goes along m; only the `subgroup` kernel does that. */
  transposeC?: boolean;
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

/** How a product runs on this adapter. */
export function chooseMatmul(
  device: Device,
  size: Pick<Product, 'batch' | 'm' | 'n'>,
): ProductPlan {
  return possible(device.tuning.matmul[matmulShape(size)], device.subgroupSize);
}

/** Steps of K that a part of a split product has at least, and bytes that all parts may have. */
const LEAST_STEPS = 256;
const MOST_PART_BYTES = 2 ** 26;
/** Parts of K begin at multiples of this. */
const STEPS_UNIT = 32;

/** Steps of K to a part: all, or so few that a product of few tiles keeps the adapter busy. */
function stepsOfPart(
  device: Device,
  groups: readonly [number, number, number],
  { batch, m, n, k }: Region,
): number {
  const bytes = 4 * batch.count * m.count * n.count;
  const parts = Math.min(
    device.tuning.enoughGroups / (groups[0] * groups[1] * groups[2]),
    k.count / LEAST_STEPS,
    Math.min(device.bindingBytes, MOST_PART_BYTES) / bytes,
    device.limits.maxComputeWorkgroupsPerDimension / groups[2],
  );
  return STEPS_UNIT * Math.ceil(k.count / Math.max(1, Math.floor(parts)) / STEPS_UNIT);
}

/** A new tensor for the parts of a product, as a product's result. */
function contiguous(device: Device, shape: readonly [number, number, number, number]) {
  const tensor = Tensor.empty(device, shape, 'f32', 'parts of a product');
  return { tensor, binding: tensor.buffer, start: 0, row: shape[3], batch: shape[2] * shape[3] };
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

/** Do the stored rows of a span begin at multiples of `unit`? `along` is M or N where that runs along them. */
function aligned(
  { row, batch }: { row: number; batch: number },
  start: number,
  along: number,
  unit = 4,
): boolean {
  return [row, batch, start, along].every((n) => n % unit === 0);
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
  choice?: ProductPlan,
): void {
  const { transposeA, transposeB, batch, m, n, k, accumulate = false } = product;
  const left = transposeA ? operand(a, product, 'k', 'm') : operand(a, product, 'm', 'k');
  const right = transposeB ? operand(b, product, 'n', 'k') : operand(b, product, 'k', 'n');
  const [along, across] = product.transposeC ? (['m', 'n'] as const) : (['n', 'm'] as const);
  const result = operand(out, product, across, along);
  const { device } = result.tensor;
  const plan = choice ? possible(choice, device.subgroupSize) : chooseMatmul(device, product);
  const kernel = plan.kernel === 'texels' ? 'subgroup' : plan.kernel;
  const inHalf = left.tensor.dtype === 'f16';
  const matrix = inHalf && !choice ? matrixTile(device, 'matmul', product) : null;
  if (inHalf && !matrix && (kernel === 'subgroup' || !readsHalves(device))) {
    widened([left.tensor, right.tensor], ([wideA, wideB]) => {
      const [x, y] = [
        { ...left, tensor: wideA! },
        { ...right, tensor: wideB! },
      ];
      multiplyInto(x, y, bias, out, product, choice);
    });
    return;
  }
  if (kernel === 'subgroup' && fewRows(product, device.subgroupSize)) {
    multiplyInto(b, a, bias, out, turned(product), choice ?? { kernel: 'subgroup' });
    return;
  }
  const code = inHalf && kernel !== 'subgroup' ? HALF_KERNELS[kernel] : KERNELS[kernel];
  const usual =
    matrix ??
    (kernel === 'subgroup'
      ? subgroupTile(product, device.subgroupSize)
      : {
          tile: tileOf(plan, device.subgroupSize),
          overrides: productOverrides(plan, device.subgroupSize),
        });
  const splitting = matrix !== null || kernel === 'tiled';
  const most = device.limits.maxComputeWorkgroupsPerDimension;

  const grid = ({ tile }: Pick<typeof usual, 'tile'>, { n, m, batch }: Region) =>
    [Math.ceil(n.count / tile[0]), Math.ceil(m.count / tile[1]), batch.count] as const;

  const multiply = (region: Region, adding: boolean): void => {
    const crowded = (['n', 'm', 'batch'] as const).find((_, i) => grid(usual, region)[i]! > most);
    const cutAt =
      crowded ?? axisToCut(result, region) ?? axisToCut(left, region) ?? axisToCut(right, region);
    if (cutAt) {
      const [first, second] = halves(region[cutAt]);
      multiply({ ...region, [cutAt]: first }, adding);
      multiply({ ...region, [cutAt]: second }, adding || cutAt === 'k');
      return;
    }
    if (!readsTexels(region)) {
      launch(region, adding, false);
      return;
    }
    // Of A^T B each step of K is another row of both operands.
    const steps = transposeA && !transposeB ? MOST_TEXEL_STEPS : region.k.count;
    for (const { start, count } of cut(region.k.count, steps)) {
      const k = { start: region.k.start + start, count };
      launch({ ...region, k }, adding || start > 0, true);
    }
  };

  const readsTexels = (region: Region): boolean => {
    if (plan.kernel !== 'texels' || matrix || region.k.count === 0) return false;
    const spans = [left, right].map((o) => span(o, region));
    const counts = spans.map(([, count]) => count);
    const multiplyAdds = region.batch.count * region.m.count * region.n.count * region.k.count;
    return (
      aligned(left, spans[0]![0], transposeA ? region.m.count : 0) &&
      aligned(right, spans[1]![0], transposeB ? 0 : region.n.count) &&
      fitTexels(device, counts) &&
      (choice !== undefined || repaysTexels(multiplyAdds, counts))
    );
  };

  const launch = (region: Region, adding: boolean, asTexels: boolean): void => {
    const [batches, rows, columns] = [region.batch.count, region.m.count, region.n.count];
    const { tile, overrides } = asTexels ? texelsTile(product, device.subgroupSize) : usual;
    const groups = grid({ tile }, region);
    const bind = asTexels ? exactSpan : bindSpan;
    const [x, y] = [left, right].map((o) => bind(o.tensor, ...span(o, region)));
    const c = bindSpan(result.tensor, ...span(result, region));
    const added = bias && region.k.start === 0 ? bias : null;
    const z = added ? bindSpan(added, region[along].start, region[along].count) : null;
    const split_k = splitting ? stepsOfPart(device, groups, region) : region.k.count;
    const splits = Math.ceil(region.k.count / split_k) || 1;
    const into = splits > 1 ? contiguous(device, [splits, batches, rows, columns]) : null;
    const target = into ?? { ...c, row: result.row, batch: result.batch };
    const byRows = !matrix && kernel !== 'rows' && !product.transposeC;
    const vectors = byRows && aligned(target, target.start, columns);
    const byVectors = {
      VEC_A: aligned(left, x!.start, transposeA ? region.m.count : 0, matrix ? 8 : 4),
      VEC_B: aligned(right, y!.start, transposeB ? 0 : region.n.count, matrix ? 8 : 4),
    };
    device.run(
      asTexels ? KERNELS.texels : (matrix?.kernel ?? code),
      vectors ? 'multiply4' : 'multiply',
      {
        buffers: {
          a: x!.binding,
          a4: x!.binding,
          a8: x!.binding,
          b: y!.binding,
          b4: y!.binding,
          b8: y!.binding,
          bias: (z ?? y!).binding,
          c: target.binding,
          out4: target.binding,
        },
        texels: { a_texels: x!.binding, b_texels: y!.binding },
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
          c_start: target.start,
          c_row: target.row,
          c_batch: target.batch,
          bias_start: z?.start ?? 0,
          accumulate: adding && !into ? 1 : 0,
          batches,
          split_k,
        },
        overrides: {
          ...(matrix
            ? { LEFT_BY_K: transposeA, RIGHT_BY_COLUMN: transposeB }
            : { TRANS_A: transposeA, TRANS_B: transposeB }),
          BIAS: added !== null && !into,
          ...overrides,
          ...((matrix || kernel !== 'rows') && byVectors),
        },
        groups: [groups[0], groups[1], batches * splits],
        flops: 2 * batches * rows * columns * region.k.count,
      },
    );
    if (!into) return;
    const sum = threadPlan(device, batches * rows * columns);
    device.run(PARTS, 'add_parts', {
      buffers: { parts: into.binding, bias: (z ?? into).binding, c: c.binding },
      params: {
        batches,
        m: rows,
        n: columns,
        splits,
        c_start: c.start,
        c_row: result.row,
        c_batch: result.batch,
        bias_start: z?.start ?? 0,
        accumulate: adding ? 1 : 0,
      },
      groups: sum.groups,
      overrides: { BIAS: added !== null, ...sum.overrides },
    });
    into.tensor.dispose();
  };
  const whole = (count: number) => ({ start: 0, count });
  multiply({ batch: whole(batch), m: whole(m), n: whole(n), k: whole(k) }, accumulate);
}
