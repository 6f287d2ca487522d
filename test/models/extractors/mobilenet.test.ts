import { MobileNet, type MobileNetOptions } from '../../../src/models/extractors/mobilenet.ts';
import { proveLayer } from '../../nn/prove-layer.ts';

proveLayer({
  layer: MobileNet,
  make: (init, options: MobileNetOptions) => new MobileNet(init, options),
  call: (net, [x], { classify }: MobileNetOptions & { classify?: boolean }) =>
    classify ? net.classify(x!) : net.forward(x!),
});
