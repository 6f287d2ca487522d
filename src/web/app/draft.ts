/** The training that is being set up: model, genes, settings, and what the engine makes of them. */
import { batch, computed, effect, signal } from '@preact/signals';
import type { ModelKind } from '../../models/registry.ts';
import type { DatasetSummary, Engine, EngineError, TrainPlan, TrainSettings } from '../protocol.ts';
import { asEngineError } from './errors.ts';
import { chooseGenes, type GeneMode } from './gene-choice.ts';
import { checkSettings } from './settings-check.ts';

/** Long enough to type a number, short enough to look immediate. */
const PLAN_DELAY_MS = 250;

export class TrainingDraft {
  readonly #engine: Engine;
  readonly dataset = signal<DatasetSummary | null>(null);
  readonly settings = signal<TrainSettings | null>(null);

  readonly geneMode = signal<GeneMode>('all');
  readonly variableCount = signal(50);
  readonly picked = signal<readonly string[]>([]);
  readonly pasted = signal('');
  /** The most variable first; null until it was asked for and came. */
  readonly ranked = signal<readonly string[] | null>(null);

  readonly genes = computed(() =>
    chooseGenes({
      mode: this.geneMode.value,
      known: this.dataset.value?.genes ?? [],
      ranked: this.ranked.value,
      count: this.variableCount.value,
      picked: this.picked.value,
      pasted: this.pasted.value,
    }),
  );
  /** What is wrong with a field, by its name. */
  readonly wrong = computed(() => (this.settings.value ? checkSettings(this.settings.value) : {}));
  /** Ready to train; null while something is missing or wrong. */
  readonly ready = computed((): TrainSettings | null => {
    const settings = this.settings.value;
    const { names, wrong } = this.genes.value;
    if (!settings || wrong !== null || Object.keys(this.wrong.value).length > 0) return null;
    return { ...settings, genes: names };
  });
  readonly plan = signal<TrainPlan | null>(null);
  readonly planError = signal<EngineError | null>(null);
  /** What stopped the form from being filled. */
  readonly error = signal<EngineError | null>(null);

  constructor(engine: Engine) {
    this.#engine = engine;
    effect(() => {
      const settings = this.ready.value;
      if (!settings) return;
      const timer = setTimeout(() => void this.#makePlan(settings), PLAN_DELAY_MS);
      return () => clearTimeout(timer);
    });
    effect(() => {
      if (this.geneMode.value === 'variable' && this.dataset.value) void this.#rank();
    });
  }

  /** For newly opened data: the settings of a run on them, or the defaults. */
  reset(dataset: DatasetSummary, settings: TrainSettings | null): void {
    batch(() => {
      this.dataset.value = dataset;
      this.ranked.value = null;
      this.plan.value = null;
      this.planError.value = null;
      this.pasted.value = '';
      this.settings.value = null;
      this.picked.value = [];
      this.geneMode.value = 'all';
      if (settings) this.take(settings);
    });
    if (!settings && dataset.kind !== 'unlabelled') {
      void this.chooseModel(dataset.kind === 'spots' ? 'direct-patch-level' : 'direct-abmil');
    }
  }

  /** The settings of a run on the open data. */
  take(settings: TrainSettings): void {
    batch(() => {
      this.settings.value = settings;
      this.picked.value = settings.genes ?? [];
      this.geneMode.value = settings.genes ? 'pick' : 'all';
    });
  }

  /** The defaults of that model; how the samples are divided stays. */
  async chooseModel(model: ModelKind): Promise<void> {
    const { dataset } = this;
    const asked = dataset.value;
    try {
      const defaults = await this.#engine.defaults(model);
      if (dataset.value !== asked) return;
      const old = this.settings.value;
      this.settings.value = old
        ? {
            ...defaults,
            validationFraction: old.validationFraction,
            testFraction: old.testFraction,
            seed: old.seed,
          }
        : defaults;
      this.error.value = null;
    } catch (thrown) {
      this.error.value = asEngineError(thrown);
    }
  }

  change(change: Partial<TrainSettings>): void {
    if (this.settings.value) this.settings.value = { ...this.settings.value, ...change };
  }

  async #makePlan(settings: TrainSettings): Promise<void> {
    try {
      const plan = await this.#engine.plan(settings);
      if (this.ready.value !== settings) return;
      this.plan.value = plan;
      this.planError.value = null;
    } catch (thrown) {
      if (this.ready.value === settings) this.planError.value = asEngineError(thrown);
    }
  }

  async #rank(): Promise<void> {
    const asked = this.dataset.value;
    if (this.ranked.peek() !== null) return;
    try {
      const ranked = await this.#engine.genesByVariance();
      if (this.dataset.value === asked) this.ranked.value = ranked;
    } catch (thrown) {
      this.error.value = asEngineError(thrown);
    }
  }
}
