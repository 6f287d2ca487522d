import { Flatten, Identity, Upsample } from '../../src/nn/resample.ts';
import type { ResizeOptions } from '../../src/ops/resize.ts';
import { proveLayer } from './prove-layer.ts';

proveLayer({ layer: Upsample, make: (_, options: ResizeOptions) => new Upsample(options) });

proveLayer({
  layer: Flatten,
  make: (_, { start, end }: { start: number; end: number }) => new Flatten(start, end),
});

proveLayer({ layer: Identity, make: () => new Identity() });
