import { AdapterCardView } from './adapter-card.tsx';
import { OwnFiles } from './own-files.tsx';
import type { AppState } from './state.ts';
import { ResumeOffer, StoredRuns } from './stored-runs.tsx';

export function StartScreen({ app }: { app: AppState }) {
  return (
    <>
      <p class="lead">
        Train a model that predicts which genes are active where in stained tissue, on this
        computer’s own graphics processor, and see the predictions as maps over the slide. Nothing
        is uploaded.
      </p>
      <ResumeOffer app={app} />
      <div class="start-grid">
        <div class="ways">
          <h2>Open something to work on</h2>
          {app.training.value && (
            <p class="note">
              A training is running. Pause or stop it (under Train) before you open other data.
            </p>
          )}
          {app.adapter.value.state === 'missing' && (
            <p class="note warn">
              These need WebGPU, which this browser does not offer now. The box “What computes” says
              what to do.
            </p>
          )}
          <Ways app={app} />
          <OwnFiles app={app} />
        </div>
        <div class="start-side">
          <AdapterCardView app={app} />
          <StoredRuns app={app} />
        </div>
      </div>
    </>
  );
}

function Ways({ app }: { app: AppState }) {
  return (
    <div class="way-pair">
      <section class="card way" aria-labelledby="way-simulated">
        <h3 id="way-simulated">Simulated cohort</h3>
        <p class="soft">
          Slides and genes drawn by a program, ready at once. Train on them to learn what the
          screens show; they say nothing about real tissue.
        </p>
        <button
          type="button"
          class="button primary"
          disabled={!app.canOpen.value}
          onClick={() => void app.openSimulated()}
        >
          Use the simulated cohort
        </button>
      </section>
      <section class="card way" aria-labelledby="way-example">
        <h3 id="way-example">Example run</h3>
        <p class="soft">
          A model that has been trained already, with its data: look at maps, scores and exports
          without waiting.
        </p>
        <button
          type="button"
          class="button"
          disabled={!app.canOpen.value}
          onClick={() => void app.openExample()}
        >
          Open the example run
        </button>
      </section>
    </div>
  );
}
