/**
 * Mixed precision, as torch.autocast (Micikevicius et al. 2018): inside, products take their operands in float16.
 *
 * The operands are rounded, the sums and the results stay float32, and so does everything that is no product: norms,
 * softmax, losses, sums. The tape keeps the rounded operands, and the gradients of products are products of
 * halves too; small gradients vanish in them and large ones become infinite, which is what a loss scale is for.
 */
import { HistogradError } from '../errors.ts';
import { isRecording } from '../gpu/recording.ts';
import { convert } from '../tensor/convert.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { onTape, record, records } from './tape.ts';

interface Cast {
  readonly half: Tensor;
  /** Of the tensor it was made from. */
  readonly version: number;
  readonly captured: boolean;
}

/** What was converted since the outermost `autocast` began; null outside of any. */
let casts: Map<Tensor, Cast> | null = null;

/**
 * Runs `body` with the float32 operands of `linear`, `matmul`, `conv2d`, `attention` and `packedAttention` converted to
 * float16. A tensor that is used twice is converted once; the halves belong to the scope around them, like every tensor.
 *
 * Wrap the forward pass and the loss; call `backward` outside, on a scaled loss. Master weights, gradients and the
 * optimiser stay float32. Halves end at 65,504: what is larger becomes infinite.
 *
 * @param enabled false: multiplies in float32 again, inside an outer `autocast`
 * @throws HistogradError `async-scope` for an async function
 */
export function autocast<T>(body: () => T, enabled = true): T {
  const outer = casts;
  casts = enabled ? (outer ?? new Map()) : null;
  try {
    const result = body();
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new HistogradError(
        'async-scope',
        'autocast() was given an async function: what runs after its first await would be float32 again.',
        'Compute inside, and await the data() of the result outside.',
      );
    }
    return result;
  } finally {
    casts = outer;
  }
}

/** The operands of a product, in float16 inside `autocast`. */
export function asOperands(inputs: readonly Tensor[]): readonly Tensor[] {
  return casts ? inputs.map((x) => (x.dtype === 'f32' ? halfOf(x, casts!) : x)) : inputs;
}

function halfOf(x: Tensor, known: Map<Tensor, Cast>): Tensor {
  const found = known.get(x);
  if (found && holds(found, x)) return found.half;
  const half = convert(x, 'f16', 'autocast');
  record('cast', half, [x], (grad) => [grad], []);
  known.set(x, { half, version: x.version, captured: isRecording() });
  return half;
}

/** Is it there, of the present values, part of the step that is recorded, and on the tape if it must be? */
function holds({ half, version, captured }: Cast, x: Tensor): boolean {
  const same = !half.disposed && version === x.version && captured === isRecording();
  return same && (!records([x]) || onTape(half));
}
