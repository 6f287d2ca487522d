/** The page's end of the engine's worker. */
import * as Comlink from 'comlink';
import type { Engine, EngineError } from './protocol.ts';
import workerUrl from './worker/engine-worker.ts?worker&url';

const NOT_STARTED: EngineError = {
  code: 'worker-failed',
  problem: 'The part of this page that computes could not be loaded.',
  advice:
    'Reload the page. If it fails again, the browser may be too old, or an extension may block it.',
};

/**
 * Starts the worker. Calls reject with plain `EngineError` objects.
 *
 * Through a blob, which inherits the page's content security policy: a worker by its address has that of its own
 * response, and a static host sends none.
 */
export function createEngine(): Engine {
  const { href } = new URL(workerUrl, import.meta.url);
  const program = new Blob([`import ${JSON.stringify(href)};`], { type: 'text/javascript' });
  const url = URL.createObjectURL(program);
  return connectEngine(new Worker(url, { type: 'module', name: 'histograd' }));
}

/** An engine that listens in `worker`. */
export function connectEngine(worker: Worker): Engine {
  const remote = Comlink.wrap<Engine>(worker);
  // A script that cannot be loaded never answers.
  const failed = new Promise<never>((_, reject) => {
    worker.addEventListener('error', () => reject(NOT_STARTED), { once: true });
  });
  failed.catch(() => {});
  const start: Engine['start'] = (listen) =>
    Promise.race([remote.start(Comlink.proxy(listen)), failed]);
  return new Proxy<Engine>(remote, {
    get: (target, name) => (name === 'start' ? start : Reflect.get(target, name)),
  });
}
