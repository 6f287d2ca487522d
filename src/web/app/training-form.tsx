import { useId } from 'preact/hooks';
import { formatCount, formatInteger } from '../../report/format.ts';
import type { DatasetSummary } from '../protocol.ts';
import { AdvancedSettings } from './advanced-settings.tsx';
import { GeneField } from './gene-field.tsx';
import { ModelPicker } from './model-picker.tsx';
import { MODELS, modelCard } from './models.ts';
import { SplitBar } from './split-bar.tsx';
import type { AppState } from './state.ts';
import { sampleNoun } from './words.ts';

export function TrainingForm({ app, dataset }: { app: AppState; dataset: DatasetSummary }) {
  const { draft } = app;
  const settings = draft.settings.value;
  const error = draft.error.value;
  if (!settings) {
    return error ? (
      <div class="note bad" role="alert">
        <strong>{error.problem}</strong>
        <p>{error.advice}</p>
      </div>
    ) : (
      <p class="soft">Preparing the settings…</p>
    );
  }
  return (
    <form
      class="train-grid"
      aria-label="Training"
      onSubmit={(event) => {
        event.preventDefault();
        void app.train();
      }}
    >
      <div class="train-form">
        <ModelField app={app} />
        <GeneField draft={draft} genes={dataset.genes} />
        <AdvancedSettings draft={draft} settings={settings} sample={sampleNoun(dataset.kind)} />
      </div>
      <Summary app={app} />
    </form>
  );
}

function ModelField({ app }: { app: AppState }) {
  const id = useId();
  const chosen = app.draft.settings.value?.model;
  const spots = app.dataset.value?.kind === 'spots';
  return (
    <fieldset class="card">
      <legend class="heading">Model</legend>
      <div class="model-list">
        {MODELS.map(({ kind, title, what, whatForSpots }) => (
          <div key={kind} class={kind === chosen ? 'choice model chosen' : 'choice model'}>
            <input
              id={`${id}-${kind}`}
              type="radio"
              name={`${id}-model`}
              checked={kind === chosen}
              aria-describedby={`${id}-${kind}-what`}
              onChange={() => void app.draft.chooseModel(kind)}
            />
            <label for={`${id}-${kind}`}>{title}</label>
            <p id={`${id}-${kind}-what`} class="small soft">
              {spots ? whatForSpots : what}
            </p>
          </div>
        ))}
      </div>
    </fieldset>
  );
}

/** What will happen, and the button that begins it. */
function Summary({ app }: { app: AppState }) {
  const { draft } = app;
  const settings = draft.settings.value;
  const plan = draft.ready.value ? draft.plan.value : null;
  const planError = draft.planError.value;
  const wrong = Object.keys(draft.wrong.value).length;
  const genes = draft.genes.value;
  const model = settings ? modelCard(settings.model) : null;
  const count = genes.names?.length ?? app.dataset.value?.genes.length ?? 0;
  return (
    <aside class="card stack summary" aria-label="What will happen">
      <h2>What will happen</h2>
      {model && draft.ready.value && (
        <p>
          {model.title} learns <strong>{formatCount(count, 'gene')}</strong>
          {model.trains && settings && plan
            ? ` in ${formatInteger(plan.totalSteps)} steps (${formatCount(settings.epochs, 'epoch')}).`
            : model.trains
              ? '.'
              : ', computed at once.'}
        </p>
      )}
      {genes.wrong !== null && <p class="wrong">Genes: {genes.wrong}</p>}
      {wrong > 0 && (
        <p class="wrong">
          {formatCount(wrong, 'setting')} must be mended under “Advanced settings”.
        </p>
      )}
      {planError && draft.ready.value && (
        <div class="note warn small" role="alert">
          <strong>{planError.problem}</strong>
          <p>{planError.advice}</p>
        </div>
      )}
      <button
        type="submit"
        class="button primary large wide"
        disabled={draft.ready.value === null || planError !== null || !app.canOpen.value}
      >
        Start training
      </button>
      {app.run.value?.phase === 'finished' && (
        <button
          type="button"
          class="button wide"
          onClick={() => {
            app.settingUp.value = false;
          }}
        >
          Back to the last run
        </button>
      )}
      {plan && <SplitBar split={plan.split} />}
      <p class="small soft">
        It can be paused, and goes on after a reload: everything is stored in this browser.
      </p>
      <div class="row small">
        <span class="soft">Trained already?</span> <ModelPicker app={app} />
      </div>
    </aside>
  );
}
