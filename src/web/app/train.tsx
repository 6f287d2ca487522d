import { DatasetCard } from './dataset-card.tsx';
import { Empty } from './empty.tsx';
import { ModelPicker } from './model-picker.tsx';
import { RunPanel } from './run-panel.tsx';
import type { AppState } from './state.ts';
import { TrainingForm } from './training-form.tsx';

export function TrainScreen({ app }: { app: AppState }) {
  const dataset = app.dataset.value;
  const run = app.run.value;
  if (!dataset) {
    return (
      <Empty title="No data are open yet">
        <p>Open the simulated cohort, your own files or a stored run first.</p>
        <a class="button" href="#start">
          Go to Start
        </a>
      </Empty>
    );
  }
  const showRun = run !== null && (!app.settingUp.value || app.training.value);
  return (
    <>
      <DatasetCard dataset={dataset} brief={showRun} />
      {showRun ? (
        <RunPanel app={app} run={run} />
      ) : dataset.kind === 'unlabelled' ? (
        <PredictOnly app={app} />
      ) : (
        <TrainingForm app={app} dataset={dataset} />
      )}
    </>
  );
}

/** Slides without expression: nothing to learn from. */
function PredictOnly({ app }: { app: AppState }) {
  return (
    <Empty title="These slides have no expression to learn from">
      <p>Predict with a model that was trained elsewhere: here, or by the command line.</p>
      <ModelPicker app={app} />
    </Empty>
  );
}
