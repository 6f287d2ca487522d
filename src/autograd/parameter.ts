import { HistogradError } from '../errors.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';

/** A tensor that is trained: a leaf of the tape, in whose `grad` gradients add up. Lives until disposed. */
export class Parameter extends Tensor {
  #grad: Tensor | null = null;
  #frozen = false;

  /** Takes over `value`, which must not be used afterwards. What is trained is float32; `cast` gives float16 of it. */
  static of(value: Tensor): Parameter {
    if (value.dtype === 'f16') {
      throw new HistogradError(
        'dtype',
        `Parameter.of: expected a float32 tensor, found f16 of shape [${value.shape.join(', ')}].`,
        'Train in float32 (small steps would be lost in float16), and multiply in float16 with autocast().',
      );
    }
    const parameter = new Parameter(value.device, value.shape, value.dtype, value.share());
    value.dispose();
    return keep(parameter);
  }

  get grad(): Tensor | null {
    return this.#grad;
  }

  /** Takes ownership of `grad`; the previous one is freed. */
  set grad(grad: Tensor | null) {
    this.#grad?.dispose();
    this.#grad = grad ? keep(grad) : null;
  }

  /** A constant for now: no gradient is computed for it, and no optimiser moves it. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** Freezing drops the gradient: an optimiser would take another step by it. */
  set frozen(on: boolean) {
    this.#frozen = on;
    if (on) this.grad = null;
  }

  override dispose(): void {
    this.grad = null;
    super.dispose();
  }
}
