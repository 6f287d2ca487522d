import { render } from 'preact';
import { App } from './app/app.tsx';
import { AppState } from './app/state.ts';
import { createEngine } from './engine-client.ts';
import type { Engine } from './protocol.ts';

/** `?fake`, while developing: made-up data, no GPU. */
async function chooseEngine(): Promise<Engine> {
  if (import.meta.env.DEV && new URLSearchParams(location.search).has('fake')) {
    const { FakeEngine } = await import('../../test/web/fake-engine.ts');
    const fake = new FakeEngine();
    // To drive a training from the console: fake.advance(5), fake.finish().
    return Object.assign(globalThis, { fake }).fake;
  }
  return createEngine();
}

// A file that misses the drop zone must not replace the page.
for (const type of ['dragover', 'drop']) {
  addEventListener(type, (event) => event.preventDefault());
}

const app = new AppState(await chooseEngine());
render(<App app={app} />, document.getElementById('app') ?? document.body);
await app.start();
