import code from '../../shaders/ema.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { StateTensor } from '../nn/module.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { keep } from '../tensor/scope.ts';
import { sameShape, Tensor } from '../tensor/tensor.ts';
import { requireOption } from './require-option.ts';

const kernel = defineKernel('ema', code);

/**
 * An exponential moving average of parameters, kept on the GPU: average ← average + (1 − decay) (value − average)
 * (Polyak & Juditsky 1992; torch.optim.swa_utils.get_ema_multi_avg_fn). It starts as a copy. Give a model's
 * parameters, or those and its buffers.
 */
export class Ema {
  readonly decay: number;
  readonly #tensors: ReadonlyMap<string, Tensor>;
  readonly #averages = new Map<string, Tensor>();

  /** @throws HistogradError `option` unless decay is in [0, 1] */
  constructor(tensors: ReadonlyMap<string, Tensor>, decay = 0.999) {
    requireOption(decay >= 0 && decay <= 1, 'Ema', 'a decay in [0, 1]', decay);
    this.decay = decay;
    this.#tensors = tensors;
    for (const [name, tensor] of tensors) {
      const average = keep(Tensor.empty(tensor.device, tensor.shape, 'f32', 'moving average'));
      copyInto(tensor, average);
      this.#averages.set(name, average);
    }
  }

  /** Takes in the values of now; call it after the optimiser's step. */
  update(): void {
    this.#run('update');
  }

  /** Exchanges averages and values: once to evaluate with the averages, once more to train on. */
  swap(): void {
    this.#run('swap');
    for (const tensor of this.#tensors.values()) tensor.bumpVersion();
  }

  /** Writes the averages into tensors of the same names, such as another model's parameters. */
  copyTo(targets: ReadonlyMap<string, Tensor>): void {
    for (const [name, average] of this.#averages) {
      const target = targets.get(name);
      if (!target || !sameShape(target.shape, average.shape)) throw mismatch(name, average);
    }
    for (const [name, average] of this.#averages) copyInto(average, targets.get(name)!);
  }

  /** The averages, by the names of the parameters. */
  async stateDict(): Promise<Map<string, StateTensor>> {
    const dict = new Map<string, StateTensor>();
    for (const [name, average] of this.#averages) {
      dict.set(name, { shape: average.shape, data: await average.data() });
    }
    return dict;
  }

  loadStateDict(dict: ReadonlyMap<string, StateTensor>): void {
    for (const [name, average] of this.#averages) {
      const saved = dict.get(name);
      if (!saved || !sameShape(saved.shape, average.shape)) throw mismatch(name, average);
    }
    for (const [name, average] of this.#averages) average.assign(dict.get(name)!.data);
  }

  dispose(): void {
    for (const average of this.#averages.values()) average.dispose();
    this.#averages.clear();
  }

  #run(entry: 'update' | 'swap'): void {
    for (const [name, average] of this.#averages) {
      const value = this.#tensors.get(name)!;
      const { device } = average;
      for (const part of elementParts(device, average.size)) {
        device.run(kernel, entry, {
          buffers: { average: bindPart(average, part), value: bindPart(value, part) },
          params: { vecs: Math.ceil(part.count / 4), weight: 1 - this.decay },
          ...elementwisePlan(device, part.count),
        });
      }
    }
  }
}

function copyInto(value: Tensor, target: Tensor): void {
  if (value.size > 0) value.device.copy(value.buffer, target.buffer, 4 * value.size);
  target.bumpVersion();
}

function mismatch(name: string, { shape }: Tensor): HistogradError {
  return new HistogradError(
    'checkpoint-mismatch',
    `Ema: there is no ${name} of shape [${shape.join(', ')}].`,
    'Use the model and sizes that the average was made for.',
  );
}
