/** Times the rungs of a ladder in turns, each on a device of its own. */
import { z } from 'zod';
import { Device, type DeviceOptions } from '../../src/gpu/device.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Contestant, type Effort, race } from '../measure.ts';
import { ceilingsSchema, parseResult, timing, workQuartiles, workSeconds } from '../run.ts';
import type { Climb, Ladder } from './ladder.ts';

const ladderRun = z.object({
  environment: z.record(z.string(), z.string()),
  id: z.string(),
  name: z.string(),
  flops: z.number(),
  bytes: z.number(),
  ceilings: ceilingsSchema,
  /** From the plain version up to what the product runs. */
  rungs: z.array(z.object({ name: z.string(), changed: z.string(), timing })),
});

export type LadderRun = z.infer<typeof ladderRun>;

export function parseLadderRun(text: string, file: string): LadderRun {
  return parseResult(ladderRun, text, file);
}

/** The rung that what the product runs is slower than, beyond the spread of both; null where it is never slower. */
export function fasterThanProduct(
  rungs: readonly LadderRun['rungs'][number][],
): LadderRun['rungs'][number] | null {
  const product = rungs.at(-1)!;
  const best = rungs.reduce((a, b) => (workSeconds(b) < workSeconds(a) ? b : a));
  return workQuartiles(best.timing)[1] < workQuartiles(product.timing)[0] ? best : null;
}

/** The rungs that lie on the way up for this class of adapter. */
export async function climb(
  request: DeviceOptions,
  ladder: Ladder,
  effort: Effort,
): Promise<Pick<LadderRun, 'id' | 'name' | 'flops' | 'bytes' | 'rungs'>> {
  const probe = await Device.open(request);
  const whole = ladder.prepare(probe, 'full');
  const { cost } = whole;
  const rungs = [...whole.rungs.entries()].filter(([, { on }]) => on.includes(probe.class));
  whole.dispose();
  probe.close();
  const lanes: Contestant[] = [];
  for (const [i, { name }] of rungs) {
    const device = await Device.open(request);
    lanes.push(laneOf(name, device, ladder.prepare(device, 'full'), i));
  }
  const timings = await race(lanes, effort);
  for (const lane of lanes) lane.dispose();
  return {
    id: ladder.id,
    name: ladder.name,
    ...cost,
    rungs: rungs.map(([, { name, changed }], i) => ({ name, changed, timing: timings[i]! })),
  };
}

function laneOf(name: string, device: Device, { rungs, dispose }: Climb, i: number): Contestant {
  const repeat = (times: number) => {
    for (let n = 0; n < times; n++) scope(() => void rungs[i]!.run());
  };
  return {
    name,
    field: 'rung',
    async run(times) {
      repeat(times);
      await device.sync();
    },
    gpuTime: (times) => device.time(() => repeat(times)),
    dispose() {
      dispose();
      device.close();
    },
  };
}
