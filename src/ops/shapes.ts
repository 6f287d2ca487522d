/** Short ways to say a reshape, and to split and stack tensors; named as in PyTorch. */
import { HistogradError } from '../errors.ts';
import { type Shape, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { aroundAxis } from './axis.ts';
import { concat, reshape, slice } from './layout.ts';
import { shapeError } from './op.ts';

/** Cuts an axis into pieces: of `sizes` entries each (the last may be shorter), or of those sizes (torch.split). */
export function split(x: Tensor, sizes: number | readonly number[], axis = 0): Tensor[] {
  const { length } = aroundAxis('split', x.shape, axis);
  const pieces = typeof sizes === 'number' ? equalPieces(length, sizes) : sizes;
  const total = pieces.reduce((sum, n) => sum + n, 0);
  if (total !== length) {
    throw shapeError('split', `sizes that add up to ${length}`, `[${pieces}] (${total})`);
  }
  let start = 0;
  return pieces.map((n) => {
    start += n;
    return slice(x, axis, start - n, start);
  });
}

/** Cuts an axis into `count` equal pieces; the last is shorter, or missing, where it does not divide (torch.chunk). */
export function chunk(x: Tensor, count: number, axis = 0): Tensor[] {
  const { length } = aroundAxis('chunk', x.shape, axis);
  if (!(Number.isInteger(count) && count > 0)) {
    throw new HistogradError(
      'option',
      `chunk: expected a whole number of pieces, found ${count}.`,
      'Give 1 or more.',
    );
  }
  return split(x, Math.max(1, Math.ceil(length / count)), axis);
}

function equalPieces(length: number, size: number): number[] {
  if (!(Number.isInteger(size) && size > 0)) {
    throw new HistogradError(
      'option',
      `split: expected pieces of a whole number of entries, found ${size}.`,
      'Give 1 or more.',
    );
  }
  const count = Math.max(1, Math.ceil(length / size));
  return Array.from({ length: count }, (_, i) => Math.min(size, length - i * size));
}

/** Joins tensors of one shape along a new axis (torch.stack). */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return concat(
    tensors.map((x) => unsqueeze(x, axis)),
    axis,
  );
}

/** Inserts an axis of extent 1; a negative one counts from the end of the result (torch.unsqueeze). */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const { at } = aroundAxis('unsqueeze', [...x.shape, 1], axis);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Removes an axis of extent 1; unlike torch.squeeze, one of another extent is an error. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const { at, length } = aroundAxis('squeeze', x.shape, axis);
  if (length !== 1) throw shapeError('squeeze', `an axis ${axis} of extent 1`, `${length}`);
  return reshape(x, [...x.shape.slice(0, at), ...x.shape.slice(at + 1)]);
}

/** Joins the axes from `start` to `end`, both included (torch.flatten). */
export function flatten(x: Tensor, start = 0, end = -1): Tensor {
  return reshape(x, flatShape(x.shape, start, end));
}

function flatShape(shape: Shape, start: number, end: number): Shape {
  if (shape.length === 0) return [1];
  const first = aroundAxis('flatten', shape, start).at;
  const last = aroundAxis('flatten', shape, end).at;
  if (first > last) throw shapeError('flatten', 'start before end', `${start} and ${end}`);
  const joined = sizeOf(shape.slice(first, last + 1));
  return [...shape.slice(0, first), joined, ...shape.slice(last + 1)];
}
