import { afterAll, describe, expect, it } from 'vitest';
import { connectEngine } from '../../../src/web/engine-client.ts';
import { tinySettings } from './settings.ts';
import { modelDigest, Watched } from './watched.ts';

const workers: Worker[] = [];

async function openWorker(): Promise<{ worker: Worker; watched: Watched }> {
  const worker = new Worker(new URL('./tiny-worker.ts', import.meta.url), { type: 'module' });
  workers.push(worker);
  const watched = new Watched(connectEngine(worker));
  const card = await watched.start();
  expect(card.kind).toMatch(/hardware|software/);
  expect(card.gflops).toBeGreaterThan(0);
  expect(card.gigabytesPerSecond).toBeGreaterThan(0);
  return { worker, watched };
}

afterAll(() => {
  for (const worker of workers) worker.terminate();
});

describe('the engine in its worker', () => {
  it('trains, keeps the page posted, and is carried on by the next tab when it is killed', async () => {
    const first = await openWorker();
    const { engine } = first.watched;
    await engine.openSimulated();
    const settings = tinySettings({ epochs: 40 });
    const end = first.watched.ended();
    await engine.train(settings);
    await end;
    const reference = await modelDigest(engine);
    expect((await engine.scores()).samples).toBe(4);
    expect(await (await engine.exportReport()).text()).toContain('Direct-ABMIL');

    const due = first.watched.until(({ phase, epoch }) => phase === 'training' && epoch >= 3);
    const { run } = await engine.train(settings);
    await due;
    first.worker.terminate();

    const { watched: second } = await openWorker();
    const stored = await second.engine.storedRuns();
    expect(stored.find(({ id }) => id === run.id)).toMatchObject({ phase: 'unfinished' });
    const resumed = second.ended();
    await second.engine.openRun(run.id);
    expect((await resumed).points).toHaveLength(40);
    expect(await modelDigest(second.engine)).toBe(reference);
  });

  it('gives errors as plain data', async () => {
    const { watched } = await openWorker();
    await expect(watched.engine.scores()).rejects.toEqual({
      code: 'no-model',
      problem: 'There is no trained model yet.',
      advice: 'Train one to its end, or open one.',
    });
  });

  it('that cannot be loaded is said to the page', async () => {
    const engine = connectEngine(new Worker('/no-such-worker.js', { type: 'module' }));
    await expect(engine.start(() => {})).rejects.toMatchObject({ code: 'worker-failed' });
  });
});
