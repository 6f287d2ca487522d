/**
 * Tensors larger than one binding, seen in parts. Kernels that work on elements or rows independently run
 * once per part; where a tensor fits, there is one part and the buffer is bound whole.
 */
import { HistogradError } from '../errors.ts';
import { BINDING_ALIGNMENT } from '../gpu/buffer-pool.ts';
import type { Device } from '../gpu/device.ts';
import { formatBytes } from '../gpu/gpu-errors.ts';
import type { Binding } from '../gpu/pipelines.ts';
import type { Tensor } from './tensor.ts';

export interface Part {
  /** The first row. */
  readonly start: number;
  /** How many rows. */
  readonly count: number;
}

const FLOAT = 4;
const ALIGNED_FLOATS = BINDING_ALIGNMENT / FLOAT;

/**
 * Cuts `rows` rows so that those of each tensor, `widths` elements long, fit one binding and begin where a
 * binding may. One part when all fits.
 */
export function rowParts(device: Device, rows: number, widths: readonly number[]): Part[] {
  const widest = Math.max(1, ...widths);
  const most = Math.floor(device.bindingBytes / FLOAT / widest);
  if (rows <= most) return [{ start: 0, count: rows }];
  const step = Math.max(
    1,
    ...widths.map((n) => ALIGNED_FLOATS / greatestCommonDivisor(n, ALIGNED_FLOATS)),
  );
  const count = Math.floor(most / step) * step;
  if (count === 0) {
    throw new HistogradError(
      'tensor-too-large',
      `${step} rows of ${widest} elements (${formatBytes(step * widest * FLOAT)}) exceed the ${formatBytes(device.bindingBytes)} that this adapter binds at once.`,
      'Split the rows: use fewer genes or features at a time (--gene-regime chunks:K).',
    );
  }
  const parts: Part[] = [];
  for (let start = 0; start < rows; start += count) {
    parts.push({ start, count: Math.min(count, rows - start) });
  }
  return parts;
}

/** The same for elements, whatever the shape. */
export function elementParts(device: Device, size: number): Part[] {
  return rowParts(device, size, [1]);
}

/** What to bind for the rows of `part`, each `width` elements long. */
export function bindPart({ buffer, size }: Tensor, part: Part, width = 1): Binding {
  const count = part.count * width;
  if (count === size) return buffer;
  // Whole vec4s: kernels that walk them write beyond the last element, and buffers have the room.
  const bytes = 16 * Math.ceil((Math.max(count, 1) * FLOAT) / 16);
  return { buffer, offset: part.start * width * FLOAT, bytes };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
