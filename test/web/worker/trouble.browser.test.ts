import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { HistogradError } from '../../../src/errors.ts';
import { Device } from '../../../src/gpu/device.ts';
import { outOfMemory } from '../../../src/gpu/gpu-errors.ts';
import { toEngineError } from '../../../src/web/worker/errors.ts';
import { tinySettings } from './settings.ts';
import { modelDigest, Watched } from './watched.ts';

/** The devices that the engine was given, the last one last. */
const devices: Device[] = [];
let watched: Watched;
let browserGivesDevices = true;

beforeAll(async () => {
  watched = await Watched.open(async () => {
    if (!browserGivesDevices) throw new HistogradError('no-adapter', 'No adapter.', 'None.');
    const device = await Device.open();
    devices.push(device);
    return device;
  });
  await watched.engine.openSimulated();
});

afterEach(() => vi.restoreAllMocks());

/** As a driver's reset does. */
function loseDevice(): void {
  devices.at(-1)!.raw.destroy();
}

describe('a lost device', () => {
  it('does not stop a training, nor change what it learns', async () => {
    const { engine } = watched;
    const settings = tinySettings();
    const first = watched.ended();
    await engine.train(settings);
    await first;
    const reference = await modelDigest(engine);

    const count = devices.length;
    const due = watched.until(({ phase, epoch }) => phase === 'training' && epoch >= 3);
    await engine.train(settings);
    await due;
    loseDevice();
    const recovering = await watched.until(({ phase }) => phase === 'recovering');
    expect(recovering.error).toMatchObject({ code: 'device-lost' });
    const end = await watched.ended();
    expect(end).toMatchObject({ phase: 'finished', error: null });
    expect(end.points).toHaveLength(24);
    expect(devices).toHaveLength(count + 1);
    expect(await modelDigest(engine)).toBe(reference);
    const notices = watched.events.filter(({ type }) => type === 'notice');
    expect(notices).toEqual([{ type: 'notice', text: 'The GPU went away and came back.' }]);
  });

  it('does not take the results away', async () => {
    const { engine } = watched;
    const before = await engine.map('slide-2', 'G1');
    loseDevice();
    const other = await engine.map('slide-3', 'G1');
    expect(other.predicted).not.toBeNull();
    expect(await engine.map('slide-2', 'G1')).toEqual(before);
  });

  it('is given up when it happens again and again', async () => {
    const { engine } = watched;
    const end = watched.ended();
    const acquire = Device.prototype.acquire;
    vi.spyOn(Device.prototype, 'acquire').mockImplementation(function (
      this: Device,
      bytes,
      purpose,
    ) {
      this.raw.destroy();
      return acquire.call(this, bytes, purpose);
    });
    await engine.train(tinySettings());
    const { phase, error } = await end;
    expect(phase).toBe('failed');
    expect(error).toMatchObject({ code: 'device-lost' });
    expect(error!.problem).toContain('4 times in a row');
    // When the cause is gone, it can still go on.
    vi.restoreAllMocks();
    const finished = watched.ended();
    await engine.resume();
    expect((await finished).points).toHaveLength(24);
  });

  it('that does not come back ends the training with what to do, and it can go on later', async () => {
    const { engine } = watched;
    const due = watched.until(({ phase, epoch }) => phase === 'training' && epoch >= 3);
    await engine.train(tinySettings());
    await due;
    browserGivesDevices = false;
    const failed = watched.ended();
    loseDevice();
    expect(await failed).toMatchObject({ phase: 'failed', error: { code: 'device-gone' } });
    browserGivesDevices = true;
    const finished = watched.ended();
    await engine.resume();
    expect((await finished).points).toHaveLength(24);
  });
});

describe('memory', () => {
  it('that is too small for the settings ends the training with what to make smaller', async () => {
    const { engine } = watched;
    const acquire = Device.prototype.acquire;
    const LIMIT = 172_000; // 150,000 of them are the optimiser's table of corrections
    vi.spyOn(Device.prototype, 'acquire').mockImplementation(function (
      this: Device,
      bytes,
      purpose,
    ) {
      const { live, pooled } = this.memory;
      if (live + bytes > LIMIT) throw outOfMemory(purpose, bytes, live, pooled);
      return acquire.call(this, bytes, purpose);
    });
    const end = watched.ended();
    await engine.train(tinySettings());
    const { phase, error } = await end;
    expect(phase).toBe('failed');
    expect(error).toMatchObject({ code: 'out-of-memory' });
    expect(error!.advice).toMatch(/fewer patches per step, a smaller batch, fewer genes/);
    expect(error!.advice).not.toContain('--');
    // Smaller ones then pass: nothing was left behind.
    const small = { hidden: 4, attention: 2, dropout: 0 };
    const finished = watched.ended();
    await engine.train(tinySettings({ modelOptions: small, epochs: 2 }));
    expect((await finished).phase).toBe('finished');
  });

  it('of the disk that is full is no reason to stop, but is said', async () => {
    const { engine } = watched;
    const stored = (await engine.storedRuns()).length;
    const full = new DOMException('full', 'QuotaExceededError');
    vi.spyOn(FileSystemFileHandle.prototype, 'createWritable').mockRejectedValue(full);
    const due = watched.until(({ phase, epoch }) => phase === 'training' && epoch >= 2);
    await engine.train(tinySettings());
    await due;
    await engine.pause();
    const end = watched.ended();
    await engine.resume();
    const { phase, notes } = await end;
    expect(phase).toBe('finished');
    expect(notes.join(' ')).toMatch(/no room for .* more.*Keep this tab open/);
    expect((await engine.scores()).samples).toBe(4);
    expect(await engine.storedRuns()).toHaveLength(stored);
  });
});

describe('errors', () => {
  it('say so when there is no WebGPU, and the next try may find it', async () => {
    let there = false;
    const missing = new HistogradError('no-adapter', 'No WebGPU adapter.', 'Use another browser.');
    const opening = () => (there ? Device.open() : Promise.reject(missing));
    await expect(Watched.open(opening)).rejects.toBe(missing);
    there = true;
    await expect(Watched.open(opening)).resolves.toBeInstanceOf(Watched);
  });

  it('reach the page as plain data, in its words', () => {
    const error = new HistogradError(
      'wrong',
      'It is wrong.',
      'Lower it (--lr), or try (--x) again.',
    );
    const plain = { code: 'wrong', problem: 'It is wrong.', advice: 'Lower it, or try again.' };
    expect(toEngineError(error)).toEqual(plain);
    expect(toEngineError(plain)).toBe(plain);
    const full = new RangeError('Array buffer allocation failed');
    expect(toEngineError(full)).toMatchObject({ code: 'out-of-memory' });
    expect(toEngineError('what?')).toMatchObject({ code: 'unexpected' });
  });
});
