/** What `--tune` tries of attention, forward and backward together. */
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { ATTENTION_TILE, type AttentionPlan, type AttentionTile } from '../../src/gpu/tuning.ts';
import { attention } from '../../src/ops/attention.ts';
import { add } from '../../src/ops/binary.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { disposeAll, random } from '../benches/tensors.ts';
import { knob, type TuneWork } from './knob.ts';

const tile = (threads: AttentionTile['threads'], slice: number): AttentionPlan => ({
  ...ATTENTION_TILE,
  threads,
  slice,
});

const PLANS: Readonly<Record<'cpu' | 'gpu', readonly AttentionPlan[]>> = {
  cpu: [
    { kernel: 'texels', vecs: 16 },
    { kernel: 'subgroup', vecs: 16 },
    { kernel: 'subgroup', vecs: 8 },
    ATTENTION_TILE,
  ],
  // 256 threads need more workgroup memory than every device has.
  gpu: [ATTENTION_TILE, tile([8, 16], 8), tile([8, 8], 32), tile([4, 32], 8)],
};

/** Heads of 64, as most published models have them; the output and the three gradients in one tensor. */
function prepare(device: Device): TuneWork {
  const shape = device.adapter.class === 'cpu' ? [1, 2, 512, 64] : [4, 16, 1024, 64];
  const inputs = [1, 2, 3].map((seed) => Parameter.of(random(device, shape, seed)));
  const [q, k, v] = inputs as [Parameter, Parameter, Parameter];
  const slopes = random(device, shape, 4);
  return {
    run() {
      const out = attention(q, k, v);
      backwardFrom(out, slopes);
      const all = inputs.reduce((sum: Tensor, { grad }) => add(sum, grad!), out);
      for (const input of inputs) input.grad = null;
      return all;
    },
    dispose: () => disposeAll(...inputs, slopes),
  };
}

export const attentionKnob = knob<AttentionPlan>({
  name: 'attention',
  read: (t) => t.attention,
  write: (t, attention) => ({ ...t, attention }),
  values: (t) => PLANS[t.class],
  prepare,
});
