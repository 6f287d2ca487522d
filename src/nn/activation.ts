/** Elementwise functions and softmax as layers without state, with PyTorch's names, for `Sequential`. */
import { inLayer } from '../ops/op.ts';
import { softmax } from '../ops/softmax.ts';
import {
  gelu,
  hardsigmoid,
  hardswish,
  leakyRelu,
  relu,
  sigmoid,
  silu,
  softplus,
  tanh,
} from '../ops/unary.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';

abstract class Activation extends Module {
  protected abstract apply(x: Tensor): Tensor;

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => this.apply(x));
  }
}

/** max(x, 0). */
export class ReLU extends Activation {
  protected apply(x: Tensor): Tensor {
    return relu(x);
  }
}

/** x, times `negativeSlope` below 0. */
export class LeakyReLU extends Activation {
  readonly negativeSlope: number;

  constructor(negativeSlope = 0.01) {
    super();
    this.negativeSlope = negativeSlope;
  }

  protected apply(x: Tensor): Tensor {
    return leakyRelu(x, this.negativeSlope);
  }
}

/** x Φ(x), with erf or by its tanh approximation. */
export class GELU extends Activation {
  readonly approximate: 'none' | 'tanh';

  constructor(approximate: 'none' | 'tanh' = 'none') {
    super();
    this.approximate = approximate;
  }

  protected apply(x: Tensor): Tensor {
    return gelu(x, this.approximate);
  }
}

/** x · sigmoid(x). */
export class SiLU extends Activation {
  protected apply(x: Tensor): Tensor {
    return silu(x);
  }
}

/** x · min(max(x + 3, 0), 6) / 6. */
export class Hardswish extends Activation {
  protected apply(x: Tensor): Tensor {
    return hardswish(x);
  }
}

/** min(max(x + 3, 0), 6) / 6. */
export class Hardsigmoid extends Activation {
  protected apply(x: Tensor): Tensor {
    return hardsigmoid(x);
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Activation {
  protected apply(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** 1 / (1 + exp(−x)). */
export class Sigmoid extends Activation {
  protected apply(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/** log(1 + exp(x)). */
export class Softplus extends Activation {
  protected apply(x: Tensor): Tensor {
    return softplus(x);
  }
}

/** exp(x) / Σ exp(x) along an axis (PyTorch's `dim`). */
export class Softmax extends Activation {
  readonly axis: number;

  constructor(axis = -1) {
    super();
    this.axis = axis;
  }

  protected apply(x: Tensor): Tensor {
    return softmax(x, this.axis);
  }
}
