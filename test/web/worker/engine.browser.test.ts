import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bench } from '../../../kernels-bench/bench.ts';
import { parseSafetensors } from '../../../src/data/safetensors.ts';
import { add } from '../../../src/ops/binary.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import { quickBench } from '../../../src/web/worker/bench.ts';
import { AppEngine } from '../../../src/web/worker/engine.ts';
import { testDevice } from '../../device.ts';
import { tinySettings } from './settings.ts';
import { GENES, tinyDataset, tinyDoor } from './tiny-data.ts';
import { modelBytes, modelDigest, Watched } from './watched.ts';

/** What an uninterrupted training learns: every other way must end with these bits. */
let reference: string;
let watched: Watched;

async function removeRuns({ engine }: Watched): Promise<void> {
  await engine.openSimulated();
  for (const { id } of await engine.storedRuns()) await engine.deleteRun(id);
}

beforeAll(async () => {
  watched = await Watched.open(() => testDevice());
  await removeRuns(watched);
});

afterAll(() => removeRuns(watched));

describe('a training', () => {
  it('runs to its end, and says how it goes', async () => {
    const { engine } = watched;
    const before = await engine.openSimulated();
    expect(before.slides.every(({ part }) => part === 'unassigned')).toBe(true);
    const settings = tinySettings();
    const plan = await engine.plan(settings);
    const end = watched.ended();
    const { dataset, run } = await engine.train(settings);
    expect(run).toMatchObject({ phase: 'preparing', split: plan.split, totalSteps: 48 });
    expect(dataset.slides.filter(({ part }) => part === 'test')).toHaveLength(4);
    const state = await end;
    expect(state).toMatchObject({ phase: 'finished', epoch: 24, step: 48, totalSteps: 48 });
    expect(state.points).toHaveLength(24);
    expect(state.points.at(-1)!.trainLoss).toBeLessThan(state.points[0]!.trainLoss!);
    expect(state.peakBytes).toBeGreaterThan(0);
    expect(watched.states.some((s) => s.phase === 'training' && s.stepsPerSecond !== null)).toBe(
      true,
    );
    reference = await modelDigest(engine);
    expect(await engine.storedRuns()).toMatchObject([{ id: run.id, phase: 'finished', epoch: 24 }]);
  });

  it('says of the test part what it learnt', async () => {
    const { engine } = watched;
    const scores = await engine.scores();
    expect(scores).toMatchObject({ part: 'test', samples: 4, reachable: 0.9 });
    expect(scores.genes.map(({ gene }) => gene)).toEqual(GENES);
    expect(scores.meanPearson).toBeGreaterThan(0.3);
    const { samples, slides, observed, predicted } = await engine.scatter('G2');
    expect(samples).toEqual([...slides].map((slide) => `slide-${slide}`));
    let squares = 0;
    for (const [i, value] of predicted.entries()) squares += (value - observed[i]!) ** 2;
    expect(scores.genes[1]!.mse).toBeCloseTo(squares / 4, 6);
    const map = await engine.map(samples[0]!, 'G2');
    expect(map.slidePredicted).toBeCloseTo(predicted[0]!, 5);
    expect(map.slideObserved).toBe(observed[0]);
    const places = await engine.places(samples[0]!);
    expect(map.predicted).toHaveLength(places.names.length);
    const attention = await engine.attention(samples[0]!);
    expect(attention!.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 5);
    await expect(engine.map('slide-0', 'G9')).rejects.toMatchObject({ code: 'unknown-gene' });
    await expect(engine.map('nowhere', 'G1')).rejects.toMatchObject({ code: 'unknown-slide' });
  });

  it('gives files in the forms of the command line', async () => {
    const { engine } = watched;
    const { metadata } = parseSafetensors(await modelBytes(engine), 'the export');
    expect(metadata).toMatchObject({ format: 'histograd-model', kind: 'direct-abmil' });
    const provenance = JSON.parse(metadata.provenance ?? '{}');
    expect(provenance).toMatchObject({ transform: 'log2' });
    expect(provenance.slides).toHaveLength(8);
    const [header, ...lines] = (await (await engine.exportPredictions()).text()).trim().split('\n');
    expect(header).toBe('model,fold,slide,G1,G2,G3,G4');
    expect(lines.map((line) => line.split(',').slice(0, 2).join())).toEqual([
      ...Array(4).fill('observed,test'),
      ...Array(4).fill('Direct-ABMIL,test'),
    ]);
    const map = (await (await engine.exportMap('slide-1', 'G1')).text()).trim().split('\n');
    expect(map[0]).toBe('place,x,y,predicted,observed');
    expect(map[2]).toMatch(/^place-1,10,0,\d\.\d+,$/);
    const report = await (await engine.exportReport()).text();
    expect(report).toContain('<!doctype html>');
    expect(report).toContain('Direct-ABMIL on tiny slides');
    expect(report).not.toMatch(/(src|href)="http/);
  });

  it('ends with the same bits after a pause', async () => {
    const { engine } = watched;
    const due = watched.until(({ phase, epoch }) => phase === 'training' && epoch >= 3);
    await engine.train(tinySettings());
    await due;
    await engine.pause();
    const paused = watched.states.at(-1)!;
    expect(paused.phase).toBe('paused');
    expect(paused.step).toBeLessThan(48);
    const end = watched.ended();
    await engine.resume();
    expect((await end).points).toHaveLength(24);
    expect(await modelDigest(engine)).toBe(reference);
  });

  it('goes on in another tab where the first was closed, with the same bits', async () => {
    const { engine } = watched;
    const due = watched.until(({ phase, epoch }) => phase === 'training' && epoch >= 3);
    const { run } = await engine.train(tinySettings());
    await due;
    await engine.pause();
    const other = await Watched.open(() => testDevice());
    // As long as the first has it, nobody else does.
    const inUse = { code: 'run-in-use' };
    await Promise.all([
      expect(other.engine.openRun(run.id)).rejects.toMatchObject(inUse),
      expect(other.engine.deleteRun(run.id)).rejects.toMatchObject(inUse),
    ]);
    await engine.openSimulated();
    const end = other.ended();
    const opened = await other.engine.openRun(run.id);
    expect(opened.run.points.length).toBeGreaterThanOrEqual(3);
    expect(opened.dataset.slides.filter(({ part }) => part === 'test')).toHaveLength(4);
    expect((await end).points).toHaveLength(24);
    expect(await modelDigest(other.engine)).toBe(reference);
    // Finished, it opens with its results.
    await other.engine.openSimulated();
    const { run: finished } = await engine.openRun(run.id);
    expect(finished).toMatchObject({ phase: 'finished', epoch: 24 });
    expect(await modelDigest(engine)).toBe(reference);
    expect((await engine.scores()).samples).toBe(4);
  });

  it('stops early with what it has, also out of a pause', async () => {
    const { engine } = watched;
    const due = watched.until(({ phase, epoch }) => phase === 'training' && epoch >= 2);
    await engine.train(tinySettings({ patience: 10, epochs: 400 }));
    await due;
    await engine.pause();
    await engine.stop();
    const state = watched.states.at(-1)!;
    expect(state).toMatchObject({ phase: 'finished', epochs: 400 });
    expect(state.points.length).toBeGreaterThanOrEqual(2);
    expect(state.points.length).toBeLessThan(100);
    expect((await engine.scores()).samples).toBe(4);
  });

  it('learns from the spots of one section, some genes only, and maps them', async () => {
    const { engine } = watched;
    await engine.openFiles([{ path: 'spots', file: new File([], 'spots') }], {});
    const end = watched.ended();
    const settings = await engine.defaults('ridge');
    await engine.train({ ...settings, genes: ['G3', 'G1'] });
    const { phase, split } = await end;
    expect(phase).toBe('finished');
    expect(split!.unit).toBe('spots');
    const scores = await engine.scores();
    expect(scores.genes.map(({ gene }) => gene)).toEqual(['G3', 'G1']);
    expect(scores.meanPearson).toBeGreaterThan(0.9);
    const { places, predicted } = await engine.scatter('G1');
    const map = await engine.map('S1', 'G1');
    expect(map.predicted![places![0]!]).toBeCloseTo(predicted[0]!, 5);
    expect(map.observed).toHaveLength(120);
    expect((await engine.map('S1', 'G2')).predicted).toBeNull();
    expect(await engine.attention('S1')).toBeNull();
  });

  it('predicts spots with models that know whole bags only', async () => {
    const { engine } = watched;
    const end = watched.ended();
    await engine.train(await engine.defaults('knn'));
    await end;
    const { places, predicted } = await engine.scatter('G1');
    const map = await engine.map('S1', 'G1');
    expect([...places!].map((place) => map.predicted![place])).toEqual([...predicted]);
  });

  it('is not ended by a model that does not fit, or a run that is not there', async () => {
    const { engine } = watched;
    const scores = await engine.scores();
    await expect(engine.openModel(new File(['junk'], 'junk'))).rejects.toMatchObject({
      code: 'bad-safetensors',
    });
    await expect(engine.openRun('nothing')).rejects.toMatchObject({ code: 'no-run' });
    expect(await engine.scores()).toEqual(scores);
  });

  it('keeps its data where a model among the files does not fit the new ones', async () => {
    let closed = 0;
    const misfit = async () => ({
      ...tinyDataset('spots'),
      model: { name: 'junk', bytes: new Uint8Array(9) },
      close: async () => {
        closed++;
      },
    });
    const door = { ...tinyDoor, openFiles: misfit };
    const engine = new AppEngine({ data: async () => door, openDevice: () => testDevice() });
    await engine.start(() => {});
    await engine.openSimulated();
    await expect(engine.openFiles([], {})).rejects.toMatchObject({ code: 'bad-safetensors' });
    expect(closed).toBe(1);
    expect(await engine.places('slide-1')).toMatchObject({ slide: 'slide-1' });
  });

  it('needs data, expression, a model, and settings that make sense', async () => {
    const fresh = await Watched.open(() => testDevice());
    const { engine } = fresh;
    await expect(engine.defaults('knn')).rejects.toMatchObject({ code: 'no-data' });
    await engine.openFiles([{ path: 'unlabelled', file: new File([], 'unlabelled') }], {});
    const settings = tinySettings();
    await expect(engine.plan(settings)).rejects.toMatchObject({ code: 'no-truth' });
    await expect(engine.scores()).rejects.toMatchObject({ code: 'no-model' });
    await engine.openSimulated();
    const bad = (change: object) => engine.plan({ ...settings, ...change });
    await expect(bad({ epochs: 0 })).rejects.toMatchObject({ code: 'bad-option' });
    await expect(bad({ patience: -1 })).rejects.toMatchObject({ code: 'bad-option' });
    await expect(bad({ testFraction: 1 })).rejects.toMatchObject({ code: 'bad-option' });
    await expect(bad({ genes: ['G1', 'XYZ'] })).rejects.toMatchObject({ code: 'unknown-gene' });
    await expect(engine.resume()).rejects.toMatchObject({ code: 'no-run' });
  });
});

it('times pieces of work, and tells by what they are bound', async () => {
  const tasks: string[] = [];
  const bench = (name: string, flops: number): Bench => ({
    id: name,
    name,
    quick: true,
    prepare(device) {
      const x = Tensor.zeros(device, [1024]);
      return {
        cost: { flops, bytes: 8192 },
        run: () => void add(x, x),
        dispose: () => x.dispose(),
      };
    },
  });
  const rows = await quickBench(
    (label, done, total) => tasks.push(`${label} ${done}/${total}`),
    [bench('copying', 1024), bench('computing', 1e6)],
  );
  expect(tasks).toEqual(['copying 0/2', 'computing 1/2', 'Kernel benchmarks 2/2']);
  expect(rows.map(({ name }) => name)).toEqual(['copying', 'computing']);
  expect(rows[0]!.figure).toMatch(/^[\d.]+ GB\/s$/);
  expect(rows[1]!.figure).toMatch(/^[\d.]+ GFLOP\/s$/);
  for (const { milliseconds } of rows) expect(milliseconds).toBeGreaterThan(0);
});
