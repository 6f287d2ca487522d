import { expect, it } from 'vitest';
import { ShuffleNet, type ShuffleNetOptions } from '../../../src/models/extractors/shufflenet.ts';
import { proveLayer } from '../../nn/prove-layer.ts';
import { loadGolden } from '../../reference/goldens.ts';

proveLayer({
  layer: ShuffleNet,
  make: (init, options: ShuffleNetOptions) => new ShuffleNet(init, options),
  call: (net, [x], { classify }: ShuffleNetOptions & { classify?: boolean }) =>
    classify ? net.classify(x!) : net.forward(x!),
  // In training a bias in front of a normalisation has no influence: its gradient is 0 but for rounding.
  floor: 2e-5,
});

it.each([{ net: 'ShuffleNet' }, { net: 'SqueezeNet' }, { net: 'MobileNet' }])(
  'PyTorch’s logits of $net have a gradient for every parameter, with which ours are compared',
  async ({ net }) => {
    const { cases } = await loadGolden('layers', net);
    const logits = cases.filter(({ options }) => options.classify);
    expect(logits.length).toBeGreaterThan(0);
    for (const { state, stateGrads } of logits) {
      const parameters = Object.keys(state!).filter((name) => !name.includes('running_'));
      expect(Object.keys(stateGrads!).sort()).toEqual(parameters.sort());
    }
  },
);
