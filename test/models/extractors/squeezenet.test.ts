import { SqueezeNet, type SqueezeNetOptions } from '../../../src/models/extractors/squeezenet.ts';
import { proveLayer } from '../../nn/prove-layer.ts';

proveLayer({
  layer: SqueezeNet,
  make: (init, options: SqueezeNetOptions) => new SqueezeNet(init, options),
  call: (net, [x], { classify }: SqueezeNetOptions & { classify?: boolean }) =>
    classify ? net.classify(x!) : net.forward(x!),
});
