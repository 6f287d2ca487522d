import { noGrad } from '../autograd/tape.ts';
import { add } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { keep, scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { notFinite } from './check-matrix.ts';
import { prepareRows } from './pairwise-distances.ts';

interface Centred {
  /** x minus its column means; the caller disposes of this and the next. */
  readonly rows: Tensor;
  /** Column means [d]. */
  readonly mean: Tensor;
  /** Squared norms of the rows. */
  readonly squares: Float32Array;
}

/**
 * x [n, d] minus the means of its columns, in two passes: the second takes off what rounding left of the first.
 *
 * @throws HistogradError `non-finite`, naming the row
 */
export async function centreRows(name: string, x: Tensor): Promise<Centred> {
  const [n, d] = x.shape as [number, number];
  const whole = { start: 0, count: n };
  const made = scope(() =>
    noGrad(() => {
      // As it is first: a value that is not finite would spoil the means, and with them all rows.
      const given = prepareRows(x, whole, Tensor.zeros(x.device, [d]));
      const first = mean(x, 0);
      const once = prepareRows(x, whole, first);
      const second = mean(once.rows, 0);
      const twice = prepareRows(once.rows, whole, second);
      return {
        given: keep(given.squares),
        rows: keep(twice.rows),
        squares: keep(twice.squares),
        mean: keep(add(first, second)),
      };
    }),
  );
  try {
    const given = await made.given.floats();
    const row = given.findIndex((value) => !Number.isFinite(value));
    if (row >= 0) throw notFinite(name, `row ${row}`);
    return { rows: made.rows, mean: made.mean, squares: await made.squares.floats() };
  } catch (error) {
    made.rows.dispose();
    made.mean.dispose();
    throw error;
  } finally {
    made.given.dispose();
    made.squares.dispose();
  }
}
