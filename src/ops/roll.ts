import { HistogradError } from '../errors.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { aroundAxis } from './axis.ts';
import { defineOp } from './op.ts';
import { copyBox, sideAt } from './strided-copy.ts';

export interface RollOptions {
  shifts: readonly number[];
  /** As many axes as shifts. */
  axes: readonly number[];
}

/** How far each axis of a shape is rolled, 0 … extent − 1. */
function perAxis(shape: Shape, { shifts, axes }: RollOptions): number[] {
  const moves = shape.map(() => 0);
  axes.forEach((axis, i) => {
    const { at, length } = aroundAxis('roll', shape, axis);
    if (length > 0) moves[at] = (((moves[at]! + shifts[i]!) % length) + length) % length;
  });
  return moves;
}

/** Every rolled axis has two pieces, which change places: 2ᵏ boxes. */
function rollInto(x: Tensor, moves: readonly number[], out: Tensor): void {
  const at = (d: number, dims: number[], source: number[], target: number[]): void => {
    if (d === x.rank) {
      const sides = { from: sideAt(x.shape, source), to: sideAt(x.shape, target) };
      copyBox(x, out, { dims, ...sides });
      return;
    }
    const move = moves[d]!;
    const kept = x.shape[d]! - move;
    at(d + 1, [...dims, kept], [...source, 0], [...target, move]);
    if (move > 0) at(d + 1, [...dims, move], [...source, kept], [...target, 0]);
  };
  at(0, [], [], []);
}

export const rollOp = defineOp<RollOptions>({
  name: 'roll',
  inputs: 'x [...]',
  output: '[...]',
  cost: '0',
  shape([x], options) {
    const { shifts, axes } = options;
    if (shifts.length !== axes.length || !shifts.every(Number.isInteger)) {
      throw new HistogradError(
        'option',
        `roll: expected one whole shift for each axis, found shifts [${shifts}] for axes [${axes}].`,
        'Give as many shifts as axes.',
      );
    }
    perAxis(x!, options);
    return x!;
  },
  forward: ([x], options, output) => rollInto(x!, perAxis(x!.shape, options), output),
  gradient({ grad, options: { shifts, axes } }) {
    const dx = Tensor.empty(grad.device, grad.shape, 'f32', 'roll gradient');
    rollInto(grad, perAxis(grad.shape, { shifts: shifts.map((s) => -s), axes }), dx);
    return [dx];
  },
});

/** Moves entries by `shifts` along `axes`; those that leave at the end come back in at the start (torch.roll). */
export const roll = (x: Tensor, shifts: readonly number[], axes: readonly number[]): Tensor =>
  rollOp.apply([x], { shifts: [...shifts], axes: [...axes] });
