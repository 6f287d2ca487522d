/** Heads whose width is not a multiple of 4, brought to one. */
import { Tensor } from '../tensor/tensor.ts';
import type { Call } from './attention-call.ts';
import type { Operand, Problem, Sizes } from './attention-dispatch.ts';
import { contiguousStrides, copyBox } from './strided-copy.ts';

const upTo4 = (n: number) => 4 * Math.ceil(n / 4);

/**
 * The kernels walk vec4s: heads whose width is not a multiple of 4 are copied to where it is, filled up with
 * zeros, which change no score.
 */
export class Aligned {
  readonly operand: Operand;
  readonly #original: Operand;
  readonly #dims: readonly [batches: number, heads: number, rows: number, width: number];

  constructor(original: Operand, { batches, heads }: Sizes, rows: number, width: number) {
    this.#original = original;
    this.#dims = [batches, heads, rows, width];
    if (width % 4 === 0) {
      this.operand = original;
      return;
    }
    const shape = [batches, heads, rows, upTo4(width)];
    const [batch, head, row] = contiguousStrides(shape) as [number, number, number, number];
    const tensor = Tensor.zeros(original.tensor.device, shape);
    this.operand = { tensor, start: 0, batch, head, row };
  }

  get #copied(): boolean {
    return this.operand !== this.#original;
  }

  fill(): this {
    if (this.#copied) this.#copy(this.#original, this.operand);
    return this;
  }

  writeBack(): void {
    if (this.#copied) this.#copy(this.operand, this.#original);
  }

  dispose(): void {
    if (this.#copied) this.operand.tensor.dispose();
  }

  #copy(from: Operand, to: Operand): void {
    const at = ({ batch, head, row, start }: Operand) => ({
      strides: [batch, head, row, 1],
      start,
    });
    copyBox(from.tensor, to.tensor, { dims: this.#dims, from: at(from), to: at(to) });
  }
}

/** The operands of a call, aligned; and the problem in aligned widths. */
export function align(
  call: Call,
  problem: Problem,
  tensors: { q: Tensor; k: Tensor; v: Tensor; out: Tensor },
) {
  const { sizes } = call;
  const { queries, keys, width, valueWidth } = sizes;
  return {
    problem: {
      ...problem,
      sizes: { ...sizes, width: upTo4(width), valueWidth: upTo4(valueWidth) },
    },
    q: new Aligned({ ...call.q, tensor: tensors.q }, sizes, queries, width),
    k: new Aligned({ ...call.k, tensor: tensors.k }, sizes, keys, width),
    v: new Aligned({ ...call.v, tensor: tensors.v }, sizes, keys, valueWidth),
    out: new Aligned({ ...call.out, tensor: tensors.out }, sizes, queries, valueWidth),
  };
}
