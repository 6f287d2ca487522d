/** Tells what happened while the tab was hidden: browsers may slow hidden tabs down, the run goes on all the same. */
import { formatInteger } from '../../report/format.ts';
import { announce } from './announce.ts';
import type { AppState } from './state.ts';

/** Returns how to stop watching. */
export function watchTab(app: AppState): () => void {
  let stepWhenHidden: number | null = null;
  const onChange = () => {
    if (document.hidden) {
      stepWhenHidden = app.training.value ? (app.run.value?.step ?? null) : null;
      return;
    }
    const run = app.run.value;
    if (stepWhenHidden !== null && run) {
      const steps = run.step - stepWhenHidden;
      app.notice.value = `While this tab was in the background, training went on (${formatInteger(steps)} steps). Browsers may slow background tabs down; nothing is lost.`;
      announce(app.notice.value);
    }
    stepWhenHidden = null;
  };
  document.addEventListener('visibilitychange', onChange);
  return () => document.removeEventListener('visibilitychange', onChange);
}
