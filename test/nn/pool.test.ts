import { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d } from '../../src/nn/pool.ts';
import type {
  AdaptivePool2dOptions,
  AvgPool2dOptions,
  MaxPool2dOptions,
} from '../../src/ops/pool2d.ts';
import { proveLayer } from './prove-layer.ts';

proveLayer({
  layer: MaxPool2d,
  make: (_, { kernelSize, ...options }: MaxPool2dOptions) => new MaxPool2d(kernelSize, options),
});

proveLayer({
  layer: AvgPool2d,
  make: (_, { kernelSize, ...options }: AvgPool2dOptions) => new AvgPool2d(kernelSize, options),
});

proveLayer({
  layer: AdaptiveAvgPool2d,
  make: (_, { outputSize }: AdaptivePool2dOptions) => new AdaptiveAvgPool2d(outputSize),
});
