import { describe, expect, it } from 'vitest';
import { scheduleFactor } from '../../src/optim/schedule.ts';

describe('scheduleFactor', () => {
  const schedule = { kind: 'cosine', warmupSteps: 4, totalSteps: 12, floor: 0.1 } as const;

  it('rises linearly, then falls by half a cosine to the floor', () => {
    expect([0, 1, 2, 3].map((s) => scheduleFactor(schedule, s))).toEqual([0.25, 0.5, 0.75, 1]);
    expect(scheduleFactor(schedule, 4)).toBe(1);
    expect(scheduleFactor(schedule, 8)).toBeCloseTo(0.55, 12);
    expect(scheduleFactor(schedule, 12)).toBeCloseTo(0.1, 12);
    expect(scheduleFactor(schedule, 99)).toBeCloseTo(0.1, 12);
  });

  it('stays at one when constant', () => {
    expect(scheduleFactor({ ...schedule, kind: 'constant' }, 50)).toBe(1);
  });
});
