/** A trained model by the content of its file: on whatever device there is now. */
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import { parseModel, requireFeatures, type TrainedModel } from '../../training/trained-model.ts';
import type { Dataset } from './dataset.ts';
import type { Gpu } from './gpu.ts';

export class OpenModel {
  /** For messages. */
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #gpu: Gpu;
  #on: { device: Device; trained: TrainedModel } | null = null;

  constructor(gpu: Gpu, name: string, bytes: Uint8Array<ArrayBuffer>) {
    this.#gpu = gpu;
    this.name = name;
    this.bytes = bytes;
  }

  /** Does `work` with the model, again on a new device if this one is lost. Errors as `parseModel`. */
  use<T>(work: (device: Device, trained: TrainedModel) => Promise<T>): Promise<T> {
    return this.#gpu.use((device) => {
      if (this.#on?.device !== device) {
        this.#on = { device, trained: parseModel(device, this.bytes, this.name) };
      }
      return work(device, this.#on.trained);
    });
  }

  /** @throws HistogradError `width-mismatch`, `other-features`, `no-common-gene` */
  async requireFit({ source, summary, targets }: Dataset): Promise<void> {
    await this.use(async (_, trained) => {
      requireFeatures(trained, source, summary.title);
      const known = new Set(summary.genes);
      if (!targets || trained.genes.some((gene) => known.has(gene))) return;
      throw new HistogradError(
        'no-common-gene',
        `${this.name} predicts ${trained.genes.slice(0, 3).join(', ')}, …; the open data have none of its ${trained.genes.length} genes.`,
        'Check that both name genes in the same way (symbols or Ensembl ids).',
      );
    });
  }

  close(): void {
    this.#on?.trained.model.dispose();
    this.#on = null;
  }
}
