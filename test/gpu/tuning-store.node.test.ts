import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chooseAdapter } from '../../src/gpu/adapter.ts';
import { chooseTuning, describeTuning, tuningKey } from '../../src/gpu/choose-tuning.ts';
import { type Tuning, tuningMark } from '../../src/gpu/tuning.ts';
import {
  parseTuning,
  type StoredTuning,
  tuningPath,
  writeTuning,
} from '../../src/gpu/tuning-store.ts';
import { TUNINGS } from '../../src/gpu/tunings.ts';
import { expectError } from '../data/expect-error.ts';

const TUNED: Tuning = { ...TUNINGS.cpu, name: 'cpu tuned', thread: { workgroup: 32 } };
const KEY = { adapter: 'some adapter', driver: 'driver 1' };
const STORED: StoredTuning = {
  format: 'histograd-tuning-2',
  key: KEY,
  date: '2026-11-21T12:00:00.000Z',
  tuning: TUNED,
  choices: [],
};

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(os.tmpdir(), 'tuning-'));
  vi.stubEnv('XDG_CACHE_HOME', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

describe('a stored tuning', () => {
  it('is read as it was written', async () => {
    await writeTuning(tuningPath(KEY), STORED);
    expect(parseTuning(readFileSync(tuningPath(KEY), 'utf8'), KEY)).toEqual(STORED);
  });

  it.each<[string, unknown, RegExp]>([
    [
      'another driver',
      { ...STORED, key: { ...KEY, driver: 'driver 0' } },
      /for the driver 'driver 0'/,
    ],
    ['another adapter', { ...STORED, key: { ...KEY, adapter: 'x' } }, /for the adapter 'x'/],
    ['an older format', { ...STORED, format: 'histograd-tuning-1' }, /no stored tuning: .*format/s],
    [
      'a missing number',
      { ...STORED, tuning: { ...TUNED, thread: {} } },
      /tuning.thread.workgroup/,
    ],
    [
      'a bad number',
      { ...STORED, tuning: { ...TUNED, thread: { workgroup: 3 } } },
      /thread.workgroup is 3/,
    ],
    [
      'a kernel that attention has not',
      { ...STORED, tuning: { ...TUNED, attention: { kernel: 'rows', workgroup: 8 } } },
      /tuning.attention.kernel/,
    ],
    ['a list', [], /no stored tuning/],
  ])('is of no use with %s', (_, content, problem) => {
    expect(parseTuning(JSON.stringify(content), KEY)).toMatch(problem);
  });

  it('is of no use when cut off', () => {
    expect(parseTuning('{"format": "histo', KEY)).toBe('it is no JSON');
  });
});

describe('HISTOGRAD_TUNING', () => {
  const choose = async () => {
    const chosen = await chooseAdapter();
    return { chosen, tuning: await chooseTuning(chosen) };
  };

  it('is needed for a stored tuning to be taken', async () => {
    const { chosen } = await choose();
    const key = tuningKey(chosen);
    await writeTuning(tuningPath(key), { ...STORED, key });
    expect((await choose()).tuning.mark).toBeUndefined();
    vi.stubEnv('HISTOGRAD_TUNING', 'stored');
    const { tuning } = await choose();
    expect(tuning.tuning).toEqual(TUNED);
    expect(tuning.mark).toBe(tuningMark(TUNED));
    expect(describeTuning(tuning)).toContain(tuningPath(key));
    // What a program or a test asks for goes before.
    expect((await chooseTuning(chosen, 'nvidia')).tuning).toBe(TUNINGS.nvidia);
  });

  it('that does not fit leaves the pinned one, and says why', async () => {
    const file = join(folder, 'tuning.json');
    writeFileSync(file, JSON.stringify(STORED));
    vi.stubEnv('HISTOGRAD_TUNING', file);
    const { tuning } = await choose();
    expect(tuning.mark).toBeUndefined();
    expect(tuning.why).toMatch(
      /^pinned .*tuning.json is ignored: it was made for the adapter 'some/,
    );
    vi.stubEnv('HISTOGRAD_TUNING', 'stored');
    expect((await choose()).tuning.why).toMatch(/asks for a stored one, and there is none yet/);
  });

  it('that names no file is an error', async () => {
    vi.stubEnv('HISTOGRAD_TUNING', join(folder, 'none.json'));
    await expectError(choose, 'bad-tuning', /none.json, which cannot be read/);
  });
});
