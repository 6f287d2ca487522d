import { render } from 'preact';
import { afterEach, beforeEach } from 'vitest';
import { page } from 'vitest/browser';
import { App } from '../../../src/web/app/app.tsx';
import { AppState } from '../../../src/web/app/state.ts';
import { theme } from '../../../src/web/app/theme.ts';
import '../../../src/web/app/styles.css';
import { FakeEngine, type FakeOptions } from '../fake-engine.ts';

let root: HTMLElement | null = null;

/** A new page for every test of the file. */
export function freshPage(): void {
  beforeEach(async () => {
    await page.viewport(1280, 900);
    history.replaceState(null, '', location.pathname);
  });
  afterEach(() => {
    if (root) {
      render(null, root);
      root.remove();
    }
    theme.value = 'system';
  });
}

interface Mounted {
  engine: FakeEngine;
  app: AppState;
}

/** The whole page on the fake engine; `prepare` changes what the engine holds before the page asks. */
export async function mountApp(
  prepare: (engine: FakeEngine) => void = () => {},
  options: Partial<FakeOptions> = {},
): Promise<Mounted> {
  const engine = new FakeEngine(options);
  prepare(engine);
  const app = new AppState(engine);
  root = document.createElement('div');
  root.id = 'app';
  document.body.append(root);
  render(<App app={app} />, root);
  await app.start();
  return { engine, app };
}

/** The page with a training under way. */
export async function mountTraining(options: Partial<FakeOptions> = {}): Promise<Mounted> {
  const mounted = await mountApp(() => {}, options);
  await page.getByRole('button', { name: 'Use the simulated cohort' }).click();
  await page.getByRole('button', { name: 'Start training' }).click();
  return mounted;
}
