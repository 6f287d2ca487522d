/** Races between made-up contestants, on a clock that moves only while one of them works. */
import { expect, it } from 'vitest';
import { type Contestant, type Effort, race } from '../../kernels-bench/measure.ts';

interface Habits extends Partial<Pick<Contestant, 'field' | 'warmUps' | 'gpuTime'>> {
  /** Seconds of its runs: the first ones, and each that follows. */
  readonly takes: readonly number[];
}

function machine() {
  let now = 0;
  const log: string[] = [];
  const contestant = (name: string, { takes, ...habits }: Habits): Contestant => {
    let runs = 0;
    return {
      name,
      ...habits,
      async run(times) {
        log.push(name);
        for (let i = 0; i < times; i++) now += takes[Math.min(runs++, takes.length - 1)]!;
      },
      dispose() {},
    };
  };
  return { clock: () => now, log, contestant };
}

const effort: Effort = { roundSeconds: 0.25, rounds: 11, least: 5, budgetSeconds: 10 };

it('counts neither the first run nor the warm-up as a round', async () => {
  const { clock, contestant } = machine();
  const [timing] = await race([contestant('own', { takes: [8, 3, 0.125] })], effort, clock);
  expect(timing).toMatchObject({ first: 8, rounds: 11, median: 0.125, quartiles: [0.125, 0.125] });
  const slow = contestant('captured', { takes: [8, 3, 2, 2, 0.125], warmUps: 4 });
  const [after] = await race([slow], effort, clock);
  expect(after).toMatchObject({ first: 8, rounds: 11, runs: 2, median: 0.125 });
});

it('repeats short work until a turn is long enough, and asks the GPU as often', async () => {
  const { clock, contestant } = machine();
  const gpuTime = async (times: number) => times * 0.5;
  const [short, long] = await race(
    [
      contestant('short', { takes: [0.0625], gpuTime }),
      contestant('long', { takes: [1.5], gpuTime }),
    ],
    effort,
    clock,
  );
  expect(short).toMatchObject({ runs: 4, median: 0.0625, gpu: 0.5, gpuQuartiles: [0.5, 0.5] });
  expect(long).toMatchObject({ runs: 1, median: 1.5, gpu: null });
});

it('lets everybody stay where the budget lasts', async () => {
  const { clock, contestant } = machine();
  const field = 'peer';
  const timings = await race(
    [0.25, 0.5].map((seconds, i) => contestant(`${i}`, { takes: [seconds], field })),
    effort,
    clock,
  );
  expect(timings.map(({ rounds }) => rounds)).toEqual([11, 11]);
});

it.each([
  { budgetSeconds: 10, wanted: 5 }, // as many as there must be
  { budgetSeconds: 30, wanted: 7 }, // 7 x 2.875 s and 2 x 4.5 s
])('sends home after two rounds whoever is far behind its field', async (given) => {
  const { clock, contestant } = machine();
  const timings = await race(
    [
      contestant('own', { takes: [0.25] }),
      contestant('earlier', { takes: [0.75] }), // has no field: stays
      contestant('fastest peer', { takes: [0.75], field: 'peer' }),
      contestant('peer', { takes: [1], field: 'peer' }),
      contestant('slow peer', { takes: [4], field: 'peer' }),
      contestant('anchor', { takes: [0.125], field: 'anchor' }),
      contestant('slow anchor', { takes: [0.5], field: 'anchor' }),
    ],
    { ...effort, roundSeconds: 0.125, ...given },
    clock,
  );
  const { wanted } = given;
  const rounds = [wanted, wanted, wanted, wanted, 2, wanted, 2];
  expect(timings.map((timing) => timing.rounds)).toEqual(rounds);
});

it('takes very long turns three times, and the short ones beside them as often as ever', async () => {
  const { clock, contestant } = machine();
  const timings = await race(
    [contestant('short', { takes: [0.5] }), contestant('long', { takes: [6], field: 'peer' })],
    effort,
    clock,
  );
  expect(timings.map(({ rounds }) => rounds)).toEqual([5, 3]);
});

it('has each take one turn a round, behind another one than the round before', async () => {
  const orders = [];
  for (let i = 0; i < 2; i++) {
    const { clock, log, contestant } = machine();
    const names = ['a', 'b', 'c', 'd'];
    await race(
      names.map((name) => contestant(name, { takes: [0.25] })),
      { ...effort, budgetSeconds: 20 },
      clock,
    );
    const turns = log.slice(2 * names.length); // behind the warm-up
    for (let round = 0; round < 11; round++) {
      expect(turns.slice(4 * round, 4 * round + 4).sort()).toEqual(names);
    }
    const pairs = new Set(turns.slice(1).map((name, at) => turns[at]! + name));
    for (const one of names) {
      for (const other of names) if (one !== other) expect(pairs).toContain(one + other);
    }
    orders.push(turns.join(''));
  }
  expect(orders[0]).toBe(orders[1]);
});
