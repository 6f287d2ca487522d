/** All that the page knows, as signals over the engine; the screens only draw it and call its actions. */
import { batch, computed, effect, signal } from '@preact/signals';
import type {
  AdapterCard,
  BenchRow,
  DatasetSummary,
  Engine,
  EngineError,
  EngineEvent,
  OpenOptions,
  RunState,
  StoredRun,
  TrainSettings,
} from '../protocol.ts';
import { announce } from './announce.ts';
import { TrainingDraft } from './draft.ts';
import { asEngineError } from './errors.ts';
import { FileChoice } from './file-choice.ts';
import { readHash, type Screen, writeHash } from './route.ts';
import { describePhase } from './words.ts';

export type Adapter =
  | { readonly state: 'looking' }
  | { readonly state: 'found'; readonly card: AdapterCard }
  | { readonly state: 'missing'; readonly error: EngineError };

/** Something failed: what the user was doing, and why it did not work. */
export interface Problem {
  readonly doing: string;
  readonly error: EngineError;
}

export class AppState {
  readonly engine: Engine;
  readonly screen = signal<Screen>('start');
  readonly adapter = signal<Adapter>({ state: 'looking' });
  readonly dataset = signal<DatasetSummary | null>(null);
  readonly run = signal<RunState | null>(null);
  /** What is being opened, in words; one thing at a time. */
  readonly busy = signal<string | null>(null);
  /** `Pausing`, `Resuming`, `Stopping`: until the engine has done it. */
  readonly steering = signal<string | null>(null);
  readonly task = signal<Extract<EngineEvent, { type: 'task' }> | null>(null);
  readonly notice = signal<string | null>(null);
  readonly problem = signal<Problem | null>(null);
  /** Null until they are read. */
  readonly storedRuns = signal<readonly StoredRun[] | null>(null);
  /** Of the kernels on this adapter; null until they were measured. */
  readonly benchRows = signal<readonly BenchRow[] | null>(null);
  readonly draft: TrainingDraft;
  readonly files: FileChoice;
  /** The training form is shown although there is a finished run. */
  readonly settingUp = signal(false);

  /** Training holds the GPU: nothing else can be opened. */
  readonly training = computed(() => {
    const phase = this.run.value?.phase;
    return (
      phase === 'preparing' ||
      phase === 'training' ||
      phase === 'recovering' ||
      phase === 'finishing'
    );
  });
  readonly canOpen = computed(
    () => this.adapter.value.state === 'found' && this.busy.value === null && !this.training.value,
  );
  readonly hasResults = computed(
    () => this.dataset.value !== null && this.run.value?.phase === 'finished',
  );

  constructor(engine: Engine) {
    this.engine = engine;
    this.draft = new TrainingDraft(engine);
    this.files = new FileChoice(engine);
  }

  /** Finds the adapter and the stored runs, and comes back to where a reload left. */
  async start(): Promise<void> {
    const wanted = readHash();
    if (wanted.screen === 'kernels') this.screen.value = 'kernels';
    // Until their run is open again, the other screens have nothing to show.
    else writeHash({ screen: 'start', run: null });
    try {
      const card = await this.engine.start((event) => this.#hear(event));
      this.adapter.value = { state: 'found', card };
    } catch (thrown) {
      this.adapter.value = { state: 'missing', error: asEngineError(thrown) };
      return;
    }
    await this.refreshRuns();
    const stored = this.storedRuns.value?.find((run) => run.id === wanted.run);
    if (stored?.phase === 'finished') {
      await this.openRun(stored.id);
      if (wanted.screen === 'train') this.go('train');
    } else if (stored) {
      announce(`${stored.title} was not finished: it can be resumed.`);
    }
  }

  go(screen: Screen): void {
    this.screen.value = screen;
    writeHash({ screen, run: this.run.value?.id ?? null });
  }

  /** The address changed: back, forward, or a link. */
  follow(): void {
    const { screen } = readHash();
    this.screen.value = screen;
  }

  openSimulated(): Promise<void> {
    return this.#open('Drawing the simulated cohort', async () => {
      this.#show(await this.engine.openSimulated(), null);
    });
  }

  openExample(): Promise<void> {
    return this.#open('Opening the example run', async () => {
      const { dataset, run } = await this.engine.openExample();
      this.#show(dataset, run);
    });
  }

  openFiles(options: OpenOptions): Promise<void> {
    return this.#open('Opening your files', async () => {
      const { dataset, run } = await this.engine.openFiles(this.files.files.value, options);
      this.files.clear();
      this.#show(dataset, run);
    });
  }

  openRun(id: string): Promise<void> {
    return this.#open('Opening the run', async () => {
      const { dataset, run } = await this.engine.openRun(id);
      this.#show(dataset, run);
    });
  }

  openModel(file: File): Promise<void> {
    return this.#open(`Opening ${file.name}`, async () => {
      const { dataset, run } = await this.engine.openModel(file);
      batch(() => {
        this.dataset.value = dataset;
        this.run.value = run;
        this.settingUp.value = false;
        this.go('see');
      });
    });
  }

  async deleteRun({ id, title }: StoredRun): Promise<void> {
    await this.attempt('Deleting the run', async () => {
      await this.engine.deleteRun(id);
      // The engine has let go of its model too.
      if (this.run.value?.id === id) this.run.value = null;
      announce(`${title} is deleted.`);
    });
    await this.refreshRuns();
  }

  async refreshRuns(): Promise<void> {
    await this.attempt('Reading the stored runs', async () => {
      this.storedRuns.value = await this.engine.storedRuns();
    });
  }

  train(): Promise<void> {
    return this.#open('Preparing the training', async () => {
      const settings = this.draft.ready.value;
      if (!settings) return;
      const { dataset, run } = await this.engine.train(settings);
      batch(() => {
        this.dataset.value = dataset;
        this.#take(run);
        this.settingUp.value = false;
      });
      this.go('train');
    });
  }

  measure(): Promise<void> {
    return this.#open('Measuring the kernels', async () => {
      const rows = await this.engine.bench();
      this.benchRows.value = rows;
      announce(`${rows.length} kernels are measured.`);
    });
  }

  pause(): Promise<void> {
    return this.#steer('Pausing', () => this.engine.pause());
  }

  resume(): Promise<void> {
    return this.#steer('Resuming', () => this.engine.resume());
  }

  stop(): Promise<void> {
    return this.#steer('Stopping', () => this.engine.stop());
  }

  /** Back to the form, with the settings of the last run or ones that may do better. */
  setUpAgain(settings: TrainSettings): void {
    batch(() => {
      this.draft.take(settings);
      this.settingUp.value = true;
    });
  }

  /** Does it, and shows in the banner what went wrong. */
  async attempt(doing: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (thrown) {
      this.problem.value = { doing, error: asEngineError(thrown) };
    }
  }

  async #steer(doing: string, action: () => Promise<void>): Promise<void> {
    if (this.steering.value !== null) return;
    this.steering.value = doing;
    await this.attempt(doing, action);
    this.steering.value = null;
  }

  async #open(what: string, action: () => Promise<void>): Promise<void> {
    if (this.busy.value !== null) return;
    this.busy.value = what;
    this.problem.value = null;
    announce(`${what}…`);
    await this.attempt(what, action);
    batch(() => {
      this.busy.value = null;
      this.task.value = null;
    });
  }

  /** What was opened; a finished run leads to its results, everything else to the training. */
  #show(dataset: DatasetSummary, run: RunState | null): void {
    batch(() => {
      this.dataset.value = dataset;
      this.run.value = run;
      this.settingUp.value = false;
      this.draft.reset(dataset, run?.settings ?? null);
      this.go(run?.phase === 'finished' ? 'see' : 'train');
    });
  }

  #hear(event: EngineEvent): void {
    if (event.type === 'run') this.#take(event.run);
    else if (event.type === 'task') this.task.value = event.done < event.total ? event : null;
    else {
      this.notice.value = event.text;
      announce(event.text);
    }
  }

  #take(run: RunState): void {
    const before = this.run.value;
    this.run.value = run;
    const phaseChanged = before?.id !== run.id || before.phase !== run.phase;
    if (!phaseChanged) return;
    announce(describePhase(run));
    if (run.id !== before?.id) writeHash({ screen: this.screen.value, run: run.id });
    if (run.phase === 'finished' || run.phase === 'paused') void this.refreshRuns();
  }
}

/** Keeps the address in step with the screen; returns how to stop. */
export function followAddress(app: AppState): () => void {
  const onHashChange = () => app.follow();
  addEventListener('hashchange', onHashChange);
  const stopTitle = effect(() => {
    document.title = pageTitle(app);
  });
  return () => {
    removeEventListener('hashchange', onHashChange);
    stopTitle();
  };
}

function pageTitle(app: AppState): string {
  const run = app.run.value;
  if (run && app.training.value && run.totalSteps > 0) {
    return `${Math.floor((100 * run.step) / run.totalSteps)} % trained: histograd`;
  }
  return 'histograd: gene expression from histology, in this tab';
}
