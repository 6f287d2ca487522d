/** The user's own files before they are opened: which they are, and what the engine takes them for. */
import { computed, signal } from '@preact/signals';
import { formatInteger } from '../../report/format.ts';
import type { DroppedFile, Engine, EngineError, Intake, OpenOptions } from '../protocol.ts';
import { asEngineError } from './errors.ts';

/** Of a section: enough for the figures of a paper, few enough for any GPU. */
const USUAL_GENES = 250;

export class FileChoice {
  readonly #engine: Engine;
  readonly files = signal<readonly DroppedFile[]>([]);
  readonly intake = signal<Intake | null>(null);
  readonly inspecting = signal(false);
  readonly error = signal<EngineError | null>(null);
  /** Micrometres per pixel as typed; NaN while empty. */
  readonly mpp = signal(Number.NaN);
  /** How many of a section's most expressed genes are taken, as typed. */
  readonly genes = signal(USUAL_GENES);

  readonly mppWrong = computed(() => {
    if (!this.intake.value?.needsMpp) return null;
    const mpp = this.mpp.value;
    return mpp >= 0.05 && mpp <= 20 ? null : 'Enter a number from 0.05 to 20.';
  });
  readonly genesWrong = computed(() => {
    if (this.intake.value?.opens !== 'spots') return null;
    const most = this.intake.value.geneCount ?? Number.POSITIVE_INFINITY;
    const genes = this.genes.value;
    if (Number.isInteger(genes) && genes >= 1 && genes <= most) return null;
    return Number.isFinite(most)
      ? `Enter a whole number from 1 to ${formatInteger(most)}.`
      : 'Enter a whole number from 1.';
  });
  /** What to open them with; null while they cannot be opened. */
  readonly options = computed((): OpenOptions | null => {
    const intake = this.intake.value;
    if (!intake?.opens || intake.problem || this.mppWrong.value || this.genesWrong.value) {
      return null;
    }
    return {
      ...(intake.needsMpp && { mpp: this.mpp.value }),
      ...(intake.opens === 'spots' && { genes: this.genes.value }),
    };
  });

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Adds to what is there already; a file that comes again replaces the old one. */
  async add(files: readonly DroppedFile[]): Promise<void> {
    if (files.length === 0) return;
    const byPath = new Map(this.files.value.map((file) => [file.path, file]));
    for (const file of files) byPath.set(file.path, file);
    const all = [...byPath.values()];
    this.files.value = all;
    this.inspecting.value = true;
    // It was about other files.
    this.intake.value = null;
    this.error.value = null;
    try {
      const intake = await this.#engine.inspectFiles(all);
      if (this.files.value !== all) return;
      this.intake.value = intake;
      this.genes.value = Math.min(this.genes.value, intake.geneCount ?? USUAL_GENES);
    } catch (thrown) {
      if (this.files.value === all) this.error.value = asEngineError(thrown);
    } finally {
      if (this.files.value === all) this.inspecting.value = false;
    }
  }

  clear(): void {
    this.files.value = [];
    this.intake.value = null;
    this.inspecting.value = false;
    this.error.value = null;
    this.mpp.value = Number.NaN;
    this.genes.value = USUAL_GENES;
  }
}
