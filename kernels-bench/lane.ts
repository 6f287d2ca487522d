/** What `earlier.ts` builds of an earlier commit in the place of `main.ts`: its benches, as contestants. */
import type { DeviceOptions } from '../src/gpu/device.ts';
import { benches } from './benches/all.ts';
import type { Contestant } from './measure.ts';
import { OwnWork } from './own-work.ts';

/** The bench of this name; null where that commit has none. */
export async function openLane(request: DeviceOptions, name: string): Promise<Contestant | null> {
  const bench = benches.find((each) => each.name === name);
  return bench ? OwnWork.open(request, bench) : null;
}
