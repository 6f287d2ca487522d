import { describe, expect, it } from 'vitest';
import { ReduceOnPlateau } from '../../src/optim/plateau.ts';
import { type Schedule, scheduleFactor } from '../../src/optim/schedule.ts';
import { expectError } from '../data/expect-error.ts';
import golden from '../reference/optim/schedules.json';

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

  const cases = golden.schedules as unknown as {
    schedule: Schedule;
    lr: number;
    rates: number[];
  }[];

  it.each(cases)('gives the rates of torch.optim.lr_scheduler: $schedule', (one) => {
    expect(one.rates.length).toBeGreaterThanOrEqual(40);
    one.rates.forEach((rate, step) => {
      const found = one.lr * scheduleFactor(one.schedule, step);
      expect(Math.abs(found / rate - 1), `step ${step}`).toBeLessThan(1e-12);
    });
  });

  it('refuses cycles that do not go on', async () => {
    const at = (s: Schedule) => () => scheduleFactor(s, 100);
    const cycle = { firstCycleSteps: 5, cycleMult: 1, warmupSteps: 5, gamma: 1, floor: 0 };
    const restarts = { kind: 'cosine-warmup-restarts', ...cycle } as const;
    await expectError(at(restarts), 'option', /warmupSteps must be/);
    const shrinking = { ...restarts, warmupSteps: 0, cycleMult: 0.1 };
    await expectError(at(shrinking), 'option', /cycleMult must be/);
    const t0 = { kind: 'cosine-restarts', t0: 0, tMult: 1, floor: 0 } as const;
    await expectError(at(t0), 'option', /t0 must be a whole number from 1, found 0/);
    await expectError(at({ ...t0, t0: 2, tMult: 0.5 }), 'option', /tMult/);
    await expectError(at({ kind: 'step', stepSize: 0, gamma: 1 }), 'option', /stepSize/);
  });
});

describe('ReduceOnPlateau', () => {
  it.each(golden.plateaus)(
    'reduces where PyTorch does: $options',
    ({ options, lr, metrics, rates }) => {
      const own = options as ConstructorParameters<typeof ReduceOnPlateau>[1];
      let plateau = new ReduceOnPlateau(lr, own);
      expect(new Set(rates).size).toBeGreaterThan(1);
      metrics.forEach((metric, i) => {
        // Resumed at every step: the state is all there is.
        const state = JSON.parse(JSON.stringify(plateau.stateDict()));
        plateau = new ReduceOnPlateau(lr, own);
        plateau.loadStateDict(state);
        expect(plateau.step(metric)).toBeCloseTo(rates[i]!, 15);
        expect(plateau.scale).toBe(plateau.lr / lr);
      });
    },
  );

  it('takes an undefined metric as no improvement, and refuses bad options', async () => {
    const plateau = new ReduceOnPlateau(1, { patience: 1 });
    const rates = [Number.NaN, Number.NaN, 3, Number.NaN, Number.NaN].map((m) => plateau.step(m));
    expect(rates).toEqual([1, 0.1, 0.1, 0.1, 0.1 * 0.1]);
    await expectError(() => new ReduceOnPlateau(0), 'option', /above 0, found 0/);
    await expectError(() => new ReduceOnPlateau(1, { factor: 1 }), 'option', /factor in \(0, 1\)/);
  });
});
