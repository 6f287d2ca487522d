/**
 * Tensors larger than one binding, seen in parts. Kernels that work on elements or rows independently run
 * once per part (`rowParts`, `elementParts`, `bindPart`); kernels that are told where their data begins
 * take any span (`bindSpan`). Where a tensor fits, the buffer is bound whole.
 */
import { HistogradError } from '../errors.ts';
import { BINDING_ALIGNMENT } from '../gpu/buffer-pool.ts';
import type { Device } from '../gpu/device.ts';
import { formatBytes } from '../gpu/gpu-errors.ts';
import type { Binding } from '../gpu/pipelines.ts';
import { bytesOf, type DType, type Tensor } from './tensor.ts';

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
 *
 * @param smallest the dtype with the smallest elements among the tensors
 */
export function rowParts(
  device: Device,
  rows: number,
  widths: readonly number[],
  smallest: DType = 'f32',
): Part[] {
  const widest = Math.max(1, ...widths);
  const most = Math.floor(device.bindingBytes / FLOAT / widest);
  if (rows <= most) return [{ start: 0, count: rows }];
  const aligned = BINDING_ALIGNMENT / bytesOf(smallest);
  const step = Math.max(1, ...widths.map((n) => aligned / greatestCommonDivisor(n, aligned)));
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
export function bindPart({ buffer, size, dtype }: Tensor, part: Part, width = 1): Binding {
  const count = part.count * width;
  if (count === size) return buffer;
  const element = bytesOf(dtype);
  return { buffer, offset: part.start * width * element, bytes: wholeVectors(count * element) };
}

export interface Span {
  readonly binding: Binding;
  /** Where the span begins inside the binding, in elements. */
  readonly start: number;
}

/** Elements `start` … `start + count − 1` of a tensor, for kernels that take a start. Any start will do. */
export function bindSpan(tensor: Tensor, start: number, count: number): Span {
  const { buffer, device, bytes } = tensor;
  return bytes <= device.bindingBytes
    ? { binding: buffer, start }
    : exactSpan(tensor, start, count);
}

/** The same with nothing bound but what holds them: for what is copied. */
export function exactSpan({ buffer, dtype }: Tensor, start: number, count: number): Span {
  const element = bytesOf(dtype);
  const inside = start % (BINDING_ALIGNMENT / element);
  const offset = (start - inside) * element;
  return {
    binding: { buffer, offset, bytes: wholeVectors((inside + count) * element) },
    start: inside,
  };
}

/** Can that span be bound? */
export function spanFits({ device, bytes, dtype }: Tensor, start: number, count: number): boolean {
  const element = bytesOf(dtype);
  const inside = start % (BINDING_ALIGNMENT / element);
  return (
    bytes <= device.bindingBytes || wholeVectors((inside + count) * element) <= device.bindingBytes
  );
}

/** The most elements of which a span fits wherever it begins. */
export function longestSpan(device: Device): number {
  return Math.floor(device.bindingBytes / 16) * 4 - ALIGNED_FLOATS;
}

/** Parts of `step` each, and a shorter last one. */
export function cut(length: number, step: number): Part[] {
  return Array.from({ length: Math.ceil(length / step) }, (_, i) => ({
    start: i * step,
    count: Math.min(step, length - i * step),
  }));
}

/** Two parts of what is longer than 1; where there is room, the second begins at a multiple of 4, better of 64. */
export function halves({ start, count }: Part): [Part, Part] {
  const unit = count > 2 * ALIGNED_FLOATS ? ALIGNED_FLOATS : count > 8 ? 4 : 1;
  const first = unit * Math.ceil(count / 2 / unit);
  return [
    { start, count: first },
    { start: start + first, count: count - first },
  ];
}

/** Bytes in whole vec4s: kernels that walk these read and write beyond the last element; buffers have the room. */
function wholeVectors(bytes: number): number {
  return 16 * Math.ceil(Math.max(bytes, 1) / 16);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
