import type { Device } from '../src/gpu/device.ts';
import { TOGGLES } from '../src/gpu/platform-node.ts';
import { environmentOf } from '../src/training/environment.ts';
import { driverCache } from './cold.ts';
import { currentCommit } from './earlier.ts';

/** All that times depend on besides the kernels; a stored result without it says nothing. */
export async function benchEnvironment(device: Device): Promise<Record<string, string>> {
  return {
    ...(await environmentOf(device)),
    toggles: TOGGLES.join('; '),
    driverCache: driverCache(),
    commit: currentCommit(process.cwd()),
  };
}
