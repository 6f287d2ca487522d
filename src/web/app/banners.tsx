import { formatInteger } from '../../report/format.ts';
import { VERSION } from '../../version.ts';
import { CopyButton } from './copy-button.tsx';
import type { AppState, Problem } from './state.ts';

/** What went wrong, what to do, and details to send to whoever helps. */
export function ProblemBanner({ app }: { app: AppState }) {
  const problem = app.problem.value;
  if (!problem) return null;
  const { doing, error } = problem;
  return (
    <section class="banner bad" role="alert" aria-label="Problem">
      <div class="banner-text">
        <strong>{doing} did not work.</strong> {error.problem}
        <p>{error.advice}</p>
        <details>
          <summary>Details</summary>
          <code class="block">{describeProblem(app, problem)}</code>
          <CopyButton label="Copy details" text={() => describeProblem(app, problem)} />
        </details>
      </div>
      <button
        type="button"
        class="button quiet"
        onClick={() => {
          app.problem.value = null;
        }}
      >
        Close
        <span class="visually-hidden"> this problem</span>
      </button>
    </section>
  );
}

function describeProblem(app: AppState, { doing, error }: Problem): string {
  const { value: adapter } = app.adapter;
  return [
    `doing: ${doing}`,
    `code: ${error.code}`,
    `problem: ${error.problem}`,
    `advice: ${error.advice}`,
    `histograd ${VERSION}`,
    adapter.state === 'found'
      ? `adapter: ${adapter.card.name} (${adapter.card.kind}, ${adapter.card.driver})`
      : `adapter: ${adapter.state}`,
    `browser: ${navigator.userAgent}`,
  ].join('\n');
}

export function NoticeBar({ app }: { app: AppState }) {
  const notice = app.notice.value;
  if (!notice) return null;
  return (
    <section class="banner" aria-label="Notice">
      <p class="banner-text">{notice}</p>
      <button
        type="button"
        class="button quiet"
        onClick={() => {
          app.notice.value = null;
        }}
      >
        Close
        <span class="visually-hidden"> this notice</span>
      </button>
    </section>
  );
}

/** How far a task with a known length is; without one, that something is being opened. */
export function TaskBar({ app }: { app: AppState }) {
  const task = app.task.value;
  const label = task?.label ?? app.busy.value;
  if (label === null) return null;
  return (
    <section class="task" aria-label="Work in progress">
      <span>{label}…</span>
      {task && (
        <>
          <progress aria-label={label} value={task.done} max={task.total} />
          <span class="soft">
            {formatInteger(task.done)} of {formatInteger(task.total)}
          </span>
        </>
      )}
    </section>
  );
}
