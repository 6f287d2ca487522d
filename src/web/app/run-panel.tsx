import { useEffect, useRef } from 'preact/hooks';
import {
  formatBytes,
  formatDuration,
  formatInteger,
  formatSignificant,
} from '../../report/format.ts';
import type { CurvePoint } from '../../report/types.ts';
import type { RunPhase, RunState } from '../protocol.ts';
import { announceProgress } from './announce.ts';
import { Curves } from './curves.tsx';
import { modelCard } from './models.ts';
import { RunFailure } from './run-failure.tsx';
import { SplitBar } from './split-bar.tsx';
import type { AppState } from './state.ts';
import { describePhase, formatPearson, formatTimeLeft } from './words.ts';

const TONES: Record<RunPhase, string> = {
  preparing: 'accent',
  training: 'accent',
  paused: 'warn',
  recovering: 'warn',
  finishing: 'accent',
  finished: 'good',
  failed: 'bad',
};

/** A training under way, or what became of it. */
export function RunPanel({ app, run }: { app: AppState; run: RunState }) {
  const { trains, loss } = modelCard(run.settings.model);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // The button that started it is gone, and the focus with it.
    if (document.activeElement === document.body) title.current?.focus();
  }, []);
  useEffect(() => {
    if (run.phase === 'training' && run.epoch > 0) announceProgress(describeProgress(run));
  }, [run]);
  return (
    <section class="card run" aria-labelledby="run-title">
      <div class="run-head">
        <div>
          <h2 ref={title} id="run-title" tabIndex={-1}>
            {run.title}
          </h2>
          <p class="row">
            <span class={`badge ${TONES[run.phase]}`}>{run.phase}</span>
            <span class="soft">{describePhase(run)}</span>
          </p>
        </div>
        <Actions app={app} run={run} />
      </div>
      {run.totalSteps > 0 && (
        <progress aria-label="Training progress" value={run.step} max={run.totalSteps} />
      )}
      <Figures run={run} />
      {run.phase === 'recovering' && (
        <p class="note warn" role="alert">
          The graphics device was lost (a driver update, sleep, or another program). It is being
          taken up again; training goes on from the last checkpoint.
        </p>
      )}
      {run.phase === 'failed' && run.error && <RunFailure app={app} run={run} error={run.error} />}
      {trains && run.points.length === 0 && run.phase === 'finished' ? (
        <p class="soft">No curves came with this model.</p>
      ) : trains ? (
        <Curves
          points={run.points}
          loss={loss}
          epochs={run.epochs}
          validated={
            run.split
              ? run.split.validation > 0
              : run.points.some(({ validationLoss }) => validationLoss !== undefined)
          }
        />
      ) : (
        <p class="soft">This model is computed at once: there are no curves.</p>
      )}
      {run.notes.length > 0 && (
        <ul class="list small">
          {run.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      {run.split && <SplitBar split={run.split} />}
    </section>
  );
}

function Actions({ app, run }: { app: AppState; run: RunState }) {
  const results = useRef<HTMLButtonElement>(null);
  const live = app.training.value;
  const wasLive = useRef(live);
  useEffect(() => {
    // The way on takes the focus when the training that was watched ends, unless the user is at something else.
    const { activeElement } = document;
    const idle =
      activeElement === null ||
      activeElement === document.body ||
      activeElement.closest('.run-head, h1') !== null;
    if (wasLive.current && run.phase === 'finished' && idle) results.current?.focus();
    wasLive.current = live;
  }, [live, run.phase]);
  switch (run.phase) {
    case 'finished':
      return (
        <div class="row">
          <button type="button" class="button" onClick={() => app.setUpAgain(run.settings)}>
            Train again
          </button>
          <button
            ref={results}
            type="button"
            class="button primary large"
            onClick={() => app.go('see')}
          >
            See the results
          </button>
        </div>
      );
    case 'failed':
      return (
        <div class="row">
          <button type="button" class="button" onClick={() => app.setUpAgain(run.settings)}>
            Change the settings
          </button>
        </div>
      );
    case 'paused':
      return (
        <div class="row">
          <SteerButton
            app={app}
            label="Resume"
            doing="Resuming"
            primary
            onClick={() => app.resume()}
          />
          <StopButton app={app} />
        </div>
      );
    default:
      return (
        <div class="row">
          <SteerButton
            app={app}
            label="Pause"
            doing="Pausing"
            disabled={run.phase !== 'training'}
            onClick={() => app.pause()}
          />
          <StopButton app={app} disabled={run.phase !== 'training'} />
        </div>
      );
  }
}

function StopButton({ app, disabled }: { app: AppState; disabled?: boolean }) {
  return (
    <SteerButton
      app={app}
      label="Stop and keep the model"
      doing="Stopping"
      disabled={disabled}
      onClick={() => app.stop()}
    />
  );
}

interface SteerButtonProps {
  app: AppState;
  label: string;
  /** As in `AppState.steering`. */
  doing: string;
  primary?: boolean;
  disabled?: boolean;
  onClick(): Promise<void>;
}

/** Says that it is at it until the engine has answered. */
function SteerButton({ app, label, doing, primary, disabled, onClick }: SteerButtonProps) {
  const steering = app.steering.value;
  return (
    <button
      type="button"
      class={primary ? 'button primary' : 'button'}
      disabled={disabled}
      // Not `disabled`: the button would lose the focus.
      aria-disabled={steering !== null}
      onClick={() => void onClick()}
    >
      {steering === doing ? `${doing}…` : label}
    </button>
  );
}

function Figures({ run }: { run: RunState }) {
  const best = bestPearson(run.points);
  const last = run.points.at(-1)?.validationPearson;
  const finished = run.phase === 'finished';
  const mean = run.seconds > 0 && run.step > 0 ? run.step / run.seconds : null;
  const speed = finished ? mean : run.stepsPerSecond;
  return (
    <dl class="figures tiles">
      <Tile name="epoch" value={run.epochs > 0 ? `${run.epoch} of ${run.epochs}` : '–'} />
      <Tile
        name="validation correlation (mean Pearson)"
        value={formatPearson(last)}
        note={best === null ? undefined : `best ${formatPearson(best)}`}
      />
      <Tile name="loss now" value={run.loss === null ? '–' : formatSignificant(run.loss)} />
      <Tile
        name={finished ? 'mean speed' : 'speed'}
        value={speed === null ? '–' : `${formatSignificant(speed)} steps/s`}
        note={
          run.totalSteps > 0
            ? `step ${formatInteger(run.step)} of ${formatInteger(run.totalSteps)}`
            : undefined
        }
      />
      <Tile
        name={finished ? 'took' : 'time left, at most'}
        value={
          finished
            ? formatDuration(run.seconds)
            : run.secondsLeft === null || run.phase === 'failed'
              ? '–'
              : formatTimeLeft(run.secondsLeft)
        }
      />
      {finished ? (
        <Tile name="GPU memory, peak" value={formatBytes(run.peakBytes)} />
      ) : (
        <Tile
          name="GPU memory"
          value={formatBytes(run.liveBytes)}
          note={`peak ${formatBytes(run.peakBytes)}`}
        />
      )}
    </dl>
  );
}

function Tile({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value}
        {note && <span class="tile-note">{note}</span>}
      </dd>
    </div>
  );
}

function bestPearson(points: readonly CurvePoint[]): number | null {
  const values = points.flatMap(({ validationPearson: r }) =>
    r !== undefined && Number.isFinite(r) ? [r] : [],
  );
  return values.length > 0 ? Math.max(...values) : null;
}

function describeProgress({ epoch, epochs, points, secondsLeft }: RunState): string {
  const r = points.at(-1)?.validationPearson;
  return [
    `Epoch ${epoch} of ${epochs}`,
    r !== undefined && `validation correlation ${formatPearson(r)}`,
    secondsLeft !== null && `${formatTimeLeft(secondsLeft)} left`,
  ]
    .filter(Boolean)
    .join(', ');
}
