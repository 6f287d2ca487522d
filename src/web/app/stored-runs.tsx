import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { formatBytes } from '../../report/format.ts';
import type { StoredRun } from '../protocol.ts';
import type { AppState } from './state.ts';
import { describeAgo } from './words.ts';

/** At once after a reload: the youngest run that was not finished. */
export function ResumeOffer({ app }: { app: AppState }) {
  const unfinished = (app.storedRuns.value ?? [])
    .filter((run) => run.phase === 'unfinished')
    .sort((a, b) => b.changed - a.changed)[0];
  if (!unfinished || app.run.value?.id === unfinished.id) return null;
  return (
    <section class="banner resume" aria-label="Unfinished run">
      <p class="banner-text">
        <strong>{unfinished.title}</strong> was not finished: {describeEpochs(unfinished)}, stored{' '}
        {describeAgo(unfinished.changed)}. It goes on from exactly where it was stored.
      </p>
      <button
        type="button"
        class="button primary"
        disabled={!app.canOpen.value}
        onClick={() => void app.openRun(unfinished.id)}
      >
        Resume this run
      </button>
    </section>
  );
}

export function StoredRuns({ app }: { app: AppState }) {
  const asked = useSignal<StoredRun | null>(null);
  const runs = app.storedRuns.value;
  if (runs === null) return null;
  return (
    <section class="card stack" aria-labelledby="runs-title">
      <h2 id="runs-title">Your runs</h2>
      {runs.length === 0 ? (
        <p class="soft small">
          Trainings are kept in this browser’s own storage, and show here. There are none yet.
        </p>
      ) : (
        <>
          <ul class="runs">
            {[...runs]
              .sort((a, b) => b.changed - a.changed)
              .map((run) => (
                <RunRow
                  key={run.id}
                  app={app}
                  run={run}
                  onDelete={() => {
                    asked.value = run;
                  }}
                />
              ))}
          </ul>
          <p class="soft small">
            {formatBytes(runs.reduce((sum, run) => sum + run.bytes, 0))} in this browser’s storage.
            Clearing the browser’s site data deletes them.
          </p>
        </>
      )}
      {asked.value && (
        <DeleteDialog
          run={asked.value}
          onAnswer={(confirmed) => {
            const run = asked.value;
            asked.value = null;
            if (confirmed && run) void app.deleteRun(run);
          }}
        />
      )}
    </section>
  );
}

function RunRow({ app, run, onDelete }: { app: AppState; run: StoredRun; onDelete(): void }) {
  const unfinished = run.phase === 'unfinished';
  const isOpen = app.run.value?.id === run.id;
  return (
    <li class="run-row">
      <div>
        <strong>{run.title}</strong> {unfinished && <span class="badge warn">unfinished</span>}
        {isOpen && <span class="badge accent">open</span>}
        <div class="soft small">
          {describeEpochs(run)}, {describeAgo(run.changed)}, {formatBytes(run.bytes)}
        </div>
      </div>
      <div class="row">
        <button
          type="button"
          class="button"
          disabled={!app.canOpen.value || isOpen}
          onClick={() => void app.openRun(run.id)}
        >
          {unfinished ? 'Resume' : 'Open'}
          <span class="visually-hidden"> {run.title}</span>
        </button>
        <button
          type="button"
          class="button quiet"
          disabled={isOpen && app.training.value}
          onClick={onDelete}
        >
          Delete<span class="visually-hidden"> {run.title}</span>
        </button>
      </div>
    </li>
  );
}

function DeleteDialog({ run, onAnswer }: { run: StoredRun; onAnswer(confirmed: boolean): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="delete-title" onClose={() => onAnswer(false)}>
      <form method="dialog" class="stack">
        <h2 id="delete-title">Delete {run.title}?</h2>
        <p>
          The model, its curves and the data kept with it ({formatBytes(run.bytes)}) are removed
          from this browser. This cannot be undone. Your own files are not touched.
        </p>
        <div class="row">
          <button type="submit" class="button">
            Keep it
          </button>
          <button type="button" class="button danger" onClick={() => onAnswer(true)}>
            Delete it
          </button>
        </div>
      </form>
    </dialog>
  );
}

function describeEpochs({ epoch, epochs }: StoredRun): string {
  return epochs > 0 ? `epoch ${epoch} of ${epochs}` : 'computed at once';
}
