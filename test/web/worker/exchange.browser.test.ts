import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from 'vitest/browser';
import { openSimulated } from '../../../src/web/data/simulated.ts';
import example from '../../../src/web/example/run.json';
import { AppEngine } from '../../../src/web/worker/engine.ts';
import { testDevice } from '../../device.ts';
import modelUrl from './fixtures/node-model.safetensors?url';
import expected from './fixtures/node-predictions.json';
import { tinySettings } from './settings.ts';
import { tinyDoor } from './tiny-data.ts';
import { modelBytes, Watched } from './watched.ts';

let watched: Watched;
let file: File;

beforeAll(async () => {
  watched = await Watched.open(() => testDevice());
  await watched.engine.openSimulated();
  const content = await (await fetch(modelUrl)).arrayBuffer();
  file = new File([content], 'best.safetensors');
});

describe('a model that Node trained', () => {
  it('predicts here what it predicted there, on slides it has not seen', async () => {
    const { engine } = watched;
    const { dataset, run } = await engine.openModel(file);
    expect(run).toMatchObject({
      phase: 'finished',
      split: null,
      title: 'Direct-ABMIL: best.safetensors',
    });
    expect(run.notes.join()).toContain('has seen 8 slides of these data');
    expect(dataset.slides.slice(6).map(({ part }) => part)).toEqual([
      ...['train', 'train', 'test', 'test', 'test', 'test'],
    ]);
    const scores = await engine.scores();
    expect(scores).toMatchObject({ part: 'test', samples: 4 });
    const { samples, predicted } = await engine.scatter('G2');
    expect(samples).toEqual(['slide-8', 'slide-9', 'slide-10', 'slide-11']);
    const there = new Map(Object.entries(expected.slides));
    for (const [i, name] of samples.entries())
      expect(Math.abs(predicted[i]! - there.get(name)![1]!)).toBeLessThan(1e-5);
    const map = await engine.map('slide-9', 'G2');
    expect(map.predicted).toHaveLength(expected.places.length);
    for (const [i, value] of map.predicted!.entries())
      expect(Math.abs(value - expected.places[i]!)).toBeLessThan(1e-5);
    const exported = new Uint8Array(await file.arrayBuffer());
    expect(await modelBytes(engine)).toEqual(exported);
  });

  it('predicts data without expression, in the form of histograd predict', async () => {
    const { engine } = watched;
    await engine.openFiles([{ path: 'unlabelled', file: new File([], 'unlabelled') }], {});
    await engine.openModel(file);
    expect(await engine.scores()).toMatchObject({ samples: 0, reachable: null });
    const [header, first] = (await (await engine.exportPredictions()).text()).split('\n');
    expect(header).toBe('slide,G1,G2,G3,G4');
    const [name, ...cells] = first!.split(',');
    expect(name).toBe('slide-0');
    for (const [g, value] of expected.slides['slide-0'].entries())
      expect(Math.abs(Number(cells[g]) - value)).toBeLessThan(1e-5);
    await expect(engine.exportReport()).rejects.toMatchObject({ code: 'no-truth' });
  });

  it('is refused where it does not fit, or is none', async () => {
    const { engine } = watched;
    const damaged = new File([(await file.arrayBuffer()).slice(0, 900)], 'cut.safetensors');
    await expect(engine.openModel(damaged)).rejects.toMatchObject({ code: 'bad-safetensors' });
    await engine.openFiles([{ path: 'spots', file: new File([], 'spots') }], {});
    const other = new TextDecoder('latin1').decode(await file.arrayBuffer());
    const genes = other.replace(
      '\\"G1\\",\\"G2\\",\\"G3\\",\\"G4\\"',
      '\\"H1\\",\\"H2\\",\\"H3\\",\\"H4\\"',
    );
    const wide = other.replace('"width":"6"', '"width":"7"');
    const named = (text: string) =>
      new File([Uint8Array.from(text, (c) => c.charCodeAt(0))], 'other');
    await expect(engine.openModel(named(genes))).rejects.toMatchObject({ code: 'no-common-gene' });
    await expect(engine.openModel(named(wide))).rejects.toMatchObject({
      code: expect.stringMatching(/mismatch/),
    });
  });
});

describe('the example', () => {
  it('scores here what the command line said of it, on the cohort drawn here', async () => {
    const door = { ...tinyDoor, openSimulated: () => openSimulated() };
    const engine = new AppEngine({ data: async () => door, openDevice: () => testDevice() });
    await engine.start(() => {});
    const { dataset, run } = await engine.openExample();
    expect(dataset).toMatchObject({ simulated: true, patients: 36 });
    expect(dataset.slides.filter(({ part }) => part === 'test')).toHaveLength(14);
    expect(run).toMatchObject({ phase: 'finished', split: { unit: 'patients', test: 7 } });
    const scores = await engine.scores();
    expect(scores).toMatchObject({ part: 'test', samples: 14 });
    expect(scores.meanPearson).toBeCloseTo(example.meanPearson, 4);
    expect(scores.reachable).toBeGreaterThan(scores.meanPearson);
  });
});

it.runIf(import.meta.env.VITE_UPDATE_FIXTURES)('makes the fixtures for Node', async () => {
  const { engine } = watched;
  await engine.openSimulated();
  const end = watched.ended();
  await engine.train(tinySettings({ patience: 10 }));
  await end;
  const model = String.fromCharCode(...(await modelBytes(engine)));
  const write = (name: string, text: string, encoding: 'utf8' | 'latin1') =>
    commands.writeFile(`test/web/worker/fixtures/${name}`, text, encoding);
  await write('browser-model.safetensors', model, 'latin1');
  await write('browser-predictions.csv', await (await engine.exportPredictions()).text(), 'utf8');
});
