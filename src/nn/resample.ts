/** Layers without parameters that change the shape of what passes through. */
import { inLayer } from '../ops/op.ts';
import { type ResizeOptions, resize } from '../ops/resize.ts';
import { flatten } from '../ops/shapes.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';

/** Resamples images [N, C, H, W] to a size or by a factor (torch.nn.Upsample; see `resize`). */
export class Upsample extends Module {
  readonly options: ResizeOptions;

  constructor(options: ResizeOptions) {
    super();
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => resize(x, this.options));
  }
}

/** Joins the axes from `start` to `end`: by default all but the first (torch.nn.Flatten). */
export class Flatten extends Module {
  readonly start: number;
  readonly end: number;

  constructor(start = 1, end = -1) {
    super();
    this.start = start;
    this.end = end;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => flatten(x, this.start, this.end));
  }
}

/** Gives back what it gets (torch.nn.Identity). */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}
