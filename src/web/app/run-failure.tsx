import type { EngineError, RunState } from '../protocol.ts';
import { smallerSettings } from './settings-check.ts';
import type { AppState } from './state.ts';

const OUT_OF_MEMORY = ['out-of-memory', 'tensor-too-large', 'batch-too-large'];
const LOST = ['device-lost', 'device-gone'];
const NON_FINITE = ['non-finite-loss', 'non-finite-gradient', 'non-finite-prediction'];

/** Why a training failed, and the settings with which it may succeed, a click away. */
export function RunFailure({
  app,
  run,
  error,
}: {
  app: AppState;
  run: RunState;
  error: EngineError;
}) {
  const remedy = findRemedy(run, error);
  return (
    <div class="note bad stack" role="alert">
      <p>
        <strong>{error.problem}</strong> {error.advice}
      </p>
      <div class="row">
        {remedy && (
          <button
            type="button"
            class="button primary"
            onClick={() => app.setUpAgain(remedy.settings)}
          >
            {remedy.label}
          </button>
        )}
        {LOST.includes(error.code) && (
          <button type="button" class="button primary" onClick={() => void app.resume()}>
            Resume from the last checkpoint
          </button>
        )}
      </div>
    </div>
  );
}

function findRemedy(
  { settings }: RunState,
  { code }: EngineError,
): { label: string; settings: RunState['settings'] } | null {
  if (OUT_OF_MEMORY.includes(code)) {
    const smaller = smallerSettings(settings);
    return (
      smaller && { label: `Take smaller settings: ${smaller.what}`, settings: smaller.settings }
    );
  }
  if (NON_FINITE.includes(code)) {
    const lr = settings.lr / 10;
    return {
      label: `Take a learning rate of ${lr.toPrecision(1)}`,
      settings: { ...settings, lr: Number(lr.toPrecision(3)) },
    };
  }
  return null;
}
