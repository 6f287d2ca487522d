import code from '../../shaders/pairwise-distances.wgsl';
import { noGrad } from '../autograd/tape.ts';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Binding } from '../gpu/pipelines.ts';
import { multiplyInto } from '../ops/matmul-kernels.ts';
import { formatShapes, shapeError } from '../ops/op.ts';
import { mean } from '../ops/reduce.ts';
import { rowPlan, threadPlan } from '../tensor/grid.ts';
import { bindPart, type Part, rowParts } from '../tensor/parts.ts';
import { keep, scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { notFinite, samplesShape } from './check-matrix.ts';

const kernel = defineKernel('pairwise-distances', code);

/** Numbered as FORM of shaders/pairwise-distances.wgsl. */
const METRICS = ['sqeuclidean', 'euclidean', 'cosine'] as const;
export type DistanceMetric = (typeof METRICS)[number];

const NAME = 'pairwiseDistances';

/** Rows ready for the product: moved, or of length one, with their squared norms. */
interface Prepared {
  readonly part: Part;
  readonly rows: Tensor;
  readonly squares: Tensor;
  /** What to take differences of: subtracting the shift has rounded `rows`, the rows as given have not been. */
  readonly exact: Binding;
}

/** @param shift what to subtract [d]; null: divide each row by its norm */
export function prepareRows(x: Tensor, part: Part, shift: Tensor | null): Prepared {
  const { device } = x;
  const d = x.shape[1]!;
  const rows = Tensor.empty(device, [part.count, d], 'f32', 'prepared rows');
  const squares = Tensor.empty(device, [part.count], 'f32', 'squared norms');
  const { groups, overrides } = rowPlan(device, part.count, d);
  const bound = bindPart(x, part, d);
  device.run(kernel, 'prepare', {
    buffers: {
      x: bound,
      shift: shift?.buffer ?? bound,
      squares: squares.buffer,
      out: rows.buffer,
    },
    params: { rows: part.count, columns: 0, d, stride: 0, first: 0 },
    overrides: { ...overrides, CENTRE: shift !== null },
    groups,
  });
  return { part, rows, squares, exact: shift ? bound : rows.buffer };
}

/**
 * Distances between the rows of a [n, d] and those of b [m, d]: [n, m]. `euclidean`, its square, or `cosine`:
 * 1 − ⟨a, b⟩ / (|a| |b|) (scipy.spatial.distance.cdist). Not differentiable. Squared distances are good to a relative 1e-5
 * wherever two rows lie, near duplicates too, and equal rows are at 0. Inputs and result may exceed one binding.
 *
 * @throws HistogradError `shape`; `non-finite`, naming the row; `zero-row` for cosine
 */
export async function pairwiseDistances(
  a: Tensor,
  b: Tensor,
  metric: DistanceMetric = 'euclidean',
): Promise<Tensor> {
  const [n, d] = samplesShape(NAME, a);
  const [m, e] = samplesShape(NAME, b);
  if (d !== e) throw shapeError(NAME, '[n, d] and [m, d]', formatShapes([a.shape, b.shape]));
  if (!METRICS.includes(metric)) {
    throw new HistogradError(
      'option',
      `${NAME}: there is no metric ${metric}.`,
      `Choose one of ${METRICS.join(', ')}.`,
    );
  }
  const { device } = a;
  // Each block of the product must fit a binding too: blocks of columns first, rows of a to match.
  const columns = rowParts(device, m, [d, 1]);
  const widest = Math.max(...columns.map(({ count }) => count));
  const rows = rowParts(device, n, [d, m, widest]);
  const result = keep(Tensor.empty(device, [n, m], 'f32', 'distances'));
  const squares: [string, Part, Tensor][] = [];
  try {
    scope(() => {
      let shift: Tensor | null = null;
      if (metric !== 'cosine') {
        const centred = centre(b, columns[0]!);
        shift = centred.shift;
        squares.push(['b', columns[0]!, keep(centred.squares)]);
      }
      for (const columnPart of columns) {
        scope(() => {
          const right = prepareRows(b, columnPart, shift);
          squares.push(['b', columnPart, keep(right.squares)]);
          for (const rowPart of rows) {
            scope(() => {
              const left = prepareRows(a, rowPart, shift);
              if (columnPart === columns[0]) squares.push(['a', rowPart, keep(left.squares)]);
              block(left, right, METRICS.indexOf(metric), result);
            });
          }
        });
      }
    });
    for (const [name, part, norms] of squares) checkRows(name, part, await norms.floats());
    return result;
  } catch (error) {
    result.dispose();
    throw error;
  } finally {
    for (const [, , norms] of squares) norms.dispose();
  }
}

/**
 * A vector near the rows of b, so that norms are not much larger than distances: the mean of some of them. With the
 * squares of those rows as they are: one that is not finite spoils the mean, and with it all others.
 */
function centre(b: Tensor, part: Part): { shift: Tensor; squares: Tensor } {
  const { rows, squares } = prepareRows(b, part, Tensor.zeros(b.device, [b.shape[1]!]));
  return { shift: noGrad(() => mean(rows, 0)), squares };
}

function block(left: Prepared, right: Prepared, form: number, result: Tensor): void {
  const { device } = result;
  const [m, n, k] = [left.part.count, right.part.count, left.rows.shape[1]!];
  const product = Tensor.empty(device, [m, n], 'f32', 'products');
  const sizes = { batch: 1, m, n, k, transposeA: false, transposeB: true };
  multiplyInto(left.rows, right.rows, null, product, sizes);
  const { groups, overrides } = threadPlan(device, m * n);
  const stride = result.shape[1]!;
  device.run(kernel, 'finish', {
    buffers: {
      a: left.exact,
      b: right.exact,
      a_squares: left.squares.buffer,
      b_squares: right.squares.buffer,
      product: product.buffer,
      out: bindPart(result, left.part, stride),
    },
    params: { rows: m, columns: n, d: k, stride, first: right.part.start },
    overrides: { ...overrides, FORM: form },
    groups,
  });
}

function checkRows(name: string, part: Part, squares: Float32Array): void {
  squares.forEach((value, i) => {
    if (!Number.isFinite(value)) throw notFinite(NAME, `row ${part.start + i} of ${name}`);
    if (value < 0) {
      throw new HistogradError(
        'zero-row',
        `${NAME}: row ${part.start + i} of ${name} is zero, which has no direction.`,
        'Leave such rows out, or take the euclidean metric.',
      );
    }
  });
}
