/** The devices that tests share: opening one costs a second, and several at once contend. */
import type { AdapterClass } from '../src/gpu/adapter.ts';
import { Device } from '../src/gpu/device.ts';

const devices = new Map<AdapterClass | undefined, Promise<Device>>();

/** @param tuning run the kernels as tuned for this class of adapter, whatever the adapter is */
export function testDevice(tuning?: AdapterClass): Promise<Device> {
  let device = devices.get(tuning);
  if (!device) {
    device = Device.open(tuning ? { tuning } : {});
    devices.set(tuning, device);
  }
  return device;
}
