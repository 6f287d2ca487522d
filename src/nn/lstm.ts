/** Long short-term memory (Hochreiter & Schmidhuber 1997) with PyTorch's gates, parameters and initialisation. */
import { Parameter } from '../autograd/parameter.ts';
import { add } from '../ops/binary.ts';
import { permute, slice } from '../ops/layout.ts';
import { lstmCell } from '../ops/lstm-cell.ts';
import { linear } from '../ops/matmul.ts';
import { formatShape, formatShapes, inLayer, shapeError } from '../ops/op.ts';
import { split, squeeze, stack } from '../ops/shapes.ts';
import { uniform } from '../tensor/random.ts';
import { sameShape, Tensor } from '../tensor/tensor.ts';
import type { Init } from './layers.ts';
import { Module } from './module.ts';

/** The hidden and the cell state. */
export interface LstmState {
  readonly h: Tensor;
  readonly c: Tensor;
}

interface Weights {
  readonly weightIh: Parameter;
  readonly weightHh: Parameter;
  readonly biasIh: Parameter | null;
  readonly biasHh: Parameter | null;
}

/** Parameters of one layer, each U(−1/√H, 1/√H). */
function drawWeights(
  { device, generator }: Init,
  inputs: number,
  hidden: number,
  bias: boolean,
): Weights {
  const bound = 1 / Math.sqrt(hidden);
  const draw = (...shape: number[]) =>
    Parameter.of(uniform(device, shape, generator.next(), -bound, bound));
  return {
    weightIh: draw(4 * hidden, inputs),
    weightHh: draw(4 * hidden, hidden),
    biasIh: bias ? draw(4 * hidden) : null,
    biasHh: bias ? draw(4 * hidden) : null,
  };
}

/** One step, from the input's part of the gates [N, 4H]. */
function step(
  projected: Tensor,
  { h, c }: LstmState,
  { weightHh, biasHh }: Pick<Weights, 'weightHh' | 'biasHh'>,
): LstmState {
  const hidden = c.shape[1]!;
  const both = lstmCell(add(projected, linear(h, weightHh, biasHh)), c);
  return { h: slice(both, 1, 0, hidden), c: slice(both, 1, hidden, 2 * hidden) };
}

function zeroState({ device }: Tensor, rows: number, hidden: number): LstmState {
  const zeros = () => Tensor.zeros(device, [rows, hidden]);
  return { h: zeros(), c: zeros() };
}

/** One step of an LSTM (torch.nn.LSTMCell). weight_ih [4H, in], weight_hh [4H, H], bias_ih and bias_hh [4H]. */
export class LSTMCell extends Module {
  readonly weight_ih: Parameter;
  readonly weight_hh: Parameter;
  readonly bias_ih: Parameter | null;
  readonly bias_hh: Parameter | null;
  readonly inputs: number;
  readonly hidden: number;

  constructor(init: Init, inputs: number, hidden: number, bias = true) {
    super(init);
    const weights = drawWeights(init, inputs, hidden, bias);
    this.weight_ih = weights.weightIh;
    this.weight_hh = weights.weightHh;
    this.bias_ih = weights.biasIh;
    this.bias_hh = weights.biasHh;
    this.inputs = inputs;
    this.hidden = hidden;
  }

  /** x [N, in], and h and c [N, H] (zeros without them), to the next h and c. */
  forward(x: Tensor, state?: LstmState): LstmState {
    return inLayer(this.layerName, () => {
      // Checked here, because a product with too few rows would broadcast.
      if (x.rank !== 2) throw shapeError('LSTMCell', 'x [N, in]', formatShape(x.shape));
      const rows = x.shape[0]!;
      const from = state ?? zeroState(x, rows, this.hidden);
      const fits = ({ shape }: Tensor) => sameShape(shape, [rows, this.hidden]);
      if (!fits(from.h) || !fits(from.c)) {
        const expected = `h and c ${formatShape([rows, this.hidden])}`;
        throw shapeError('LSTMCell', expected, formatShapes([from.h.shape, from.c.shape]));
      }
      const weights = { weightHh: this.weight_hh, biasHh: this.bias_hh };
      return step(linear(x, this.weight_ih, this.bias_ih), from, weights);
    });
  }
}

export interface LSTMOptions {
  /** Layers on top of one another (1). */
  numLayers?: number;
  bias?: boolean;
  /** Inputs and outputs are [N, T, …] instead of [T, N, …]. */
  batchFirst?: boolean;
}

/**
 * An LSTM over sequences (torch.nn.LSTM; without dropout, projections and a backward direction). Parameters
 * weight_ih_l0 [4H, in], weight_hh_l0 [4H, H], bias_ih_l0, bias_hh_l0 [4H], then …_l1 with in = H, and so on.
 */
export class LSTM extends Module {
  readonly inputs: number;
  readonly hidden: number;
  readonly batchFirst: boolean;
  readonly #layers: readonly Weights[];

  constructor(init: Init, inputs: number, hidden: number, options: LSTMOptions = {}) {
    super(init);
    const { numLayers = 1, bias = true, batchFirst = false } = options;
    this.inputs = inputs;
    this.hidden = hidden;
    this.batchFirst = batchFirst;
    this.#layers = Array.from({ length: numLayers }, (_, l) =>
      drawWeights(init, l === 0 ? inputs : hidden, hidden, bias),
    );
    // Under PyTorch's names, where Module finds them.
    for (const [l, { weightIh, weightHh, biasIh, biasHh }] of this.#layers.entries()) {
      Object.assign(this, { [`weight_ih_l${l}`]: weightIh, [`weight_hh_l${l}`]: weightHh });
      if (bias) Object.assign(this, { [`bias_ih_l${l}`]: biasIh, [`bias_hh_l${l}`]: biasHh });
    }
  }

  /**
   * x [T, N, in] (batchFirst: [N, T, in]) to all h of the last layer [T, N, H] (batchFirst: [N, T, H]), and the last h and c
   * of every layer [layers, N, H]. `state`: h and c [layers, N, H] to begin with; zeros without it.
   */
  forward(x: Tensor, state?: LstmState): LstmState & { readonly output: Tensor } {
    return inLayer(this.layerName, () => {
      if (x.rank !== 3 || x.shape[2] !== this.inputs || x.shape[this.batchFirst ? 1 : 0] === 0) {
        const expected = `x ${this.batchFirst ? '[N, T, ' : '[T, N, '}${this.inputs}] with T > 0`;
        throw shapeError('LSTM', expected, formatShape(x.shape));
      }
      let sequence = this.batchFirst ? permute(x, [1, 0, 2]) : x;
      const rows = sequence.shape[1]!;
      const last: LstmState[] = [];
      for (const [l, weights] of this.#layers.entries()) {
        let now = state
          ? { h: this.#layerOf(state.h, l, rows), c: this.#layerOf(state.c, l, rows) }
          : zeroState(x, rows, this.hidden);
        // One product projects the inputs of all steps.
        const projected = linear(sequence, weights.weightIh, weights.biasIh);
        const steps = split(projected, 1).map((gates) => {
          now = step(squeeze(gates, 0), now, weights);
          return now.h;
        });
        sequence = stack(steps);
        last.push(now);
      }
      return {
        output: this.batchFirst ? permute(sequence, [1, 0, 2]) : sequence,
        h: stack(last.map(({ h }) => h)),
        c: stack(last.map(({ c }) => c)),
      };
    });
  }

  #layerOf(state: Tensor, layer: number, rows: number): Tensor {
    const shape = [this.#layers.length, rows, this.hidden];
    if (!sameShape(state.shape, shape)) {
      throw shapeError('LSTM', `an initial state ${formatShape(shape)}`, formatShape(state.shape));
    }
    return squeeze(slice(state, 0, layer, layer + 1), 0);
  }
}
