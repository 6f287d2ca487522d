/** The blocks of the published networks against PyTorch: value and every gradient within 1e-4. */
import { describe, it } from 'vitest';
import { ConvMixerBlock } from '../../../src/nn/blocks/conv-mixer.ts';
import { DenseLayer } from '../../../src/nn/blocks/densenet.ts';
import { MBConv, type MBConvOptions } from '../../../src/nn/blocks/mb-conv.ts';
import { Mlp } from '../../../src/nn/blocks/mlp.ts';
import { BasicBlock, Bottleneck } from '../../../src/nn/blocks/resnet.ts';
import { StyledConv, type StyledConvOptions } from '../../../src/nn/blocks/styled-conv.ts';
import { SummaryMixing } from '../../../src/nn/blocks/summary-mixing.ts';
import { SwinBlock, type SwinBlockOptions } from '../../../src/nn/blocks/swin.ts';
import { ViTBlock, type ViTBlockOptions } from '../../../src/nn/blocks/vit.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { expectError } from '../../data/expect-error.ts';
import { testDevice } from '../../device.ts';
import { proveLayer } from '../prove-layer.ts';

/** Gradients pass through several normalisations in float32; PyTorch's own float32 is no nearer to float64. */
const tolerance = 1e-4;

interface ResidualOptions {
  inputs: number;
  width: number;
  stride: number;
}

proveLayer({
  layer: BasicBlock,
  make: (init, { inputs, width, stride }: ResidualOptions) =>
    new BasicBlock(init, inputs, width, stride),
  tolerance,
});

proveLayer({
  layer: Bottleneck,
  make: (init, { inputs, width, stride }: ResidualOptions) =>
    new Bottleneck(init, inputs, width, stride),
  tolerance,
});

proveLayer({
  layer: DenseLayer,
  make: (init, options: { inputs: number; growth: number; bottleneck: number }) =>
    new DenseLayer(init, options.inputs, options.growth, options.bottleneck),
  tolerance,
});

proveLayer({
  layer: Mlp,
  make: (init, { width, hidden }: { width: number; hidden: number }) =>
    new Mlp(init, width, hidden),
});

proveLayer({
  layer: ViTBlock,
  make: (init, options: ViTBlockOptions) => new ViTBlock(init, options),
  tolerance,
});

proveLayer({
  layer: SwinBlock,
  make: (init, options: SwinBlockOptions) => new SwinBlock(init, options),
  tolerance,
});

proveLayer({
  layer: ConvMixerBlock,
  make: (init, { width, kernel }: { width: number; kernel: number }) =>
    new ConvMixerBlock(init, width, kernel),
  tolerance,
  // The biases before the norms have no gradient at all: what is left is the rounding of sums of 168 terms.
  floor: 3e-5,
});

proveLayer({
  layer: MBConv,
  make: (init, options: MBConvOptions) => new MBConv(init, options),
  tolerance,
});

proveLayer({
  layer: SummaryMixing,
  make: (init, options: { width: number; heads: number; head: number }) =>
    new SummaryMixing(init, options.width, options.heads, options.head),
  tolerance,
});

proveLayer({
  layer: StyledConv,
  make: (init, options: StyledConvOptions) => new StyledConv(init, options),
  tolerance,
});

describe('SwinBlock', () => {
  it('refuses a grid that its windows do not tile', async () => {
    const init = { device: await testDevice(), generator: new Generator(1) };
    const options = { width: 8, heads: 2, hidden: 16, window: 4, shift: 2 };
    const make = (more: Partial<SwinBlockOptions>) =>
      new SwinBlock(init, { ...options, size: [8, 8], ...more });
    const found = /windows of 4, shifted by 2, do not tile 8 x 6 tokens/;
    await expectError(() => make({ size: [8, 6] }), 'option', found);
    await expectError(() => make({ shift: 4 }), 'option', /shifted by 4/);
  });
});
