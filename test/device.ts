/** The devices that tests share: opening one costs a second, and several at once contend. */
import { Device, type DeviceOptions } from '../src/gpu/device.ts';

const devices = new Map<string, Promise<Device>>();

function shared(options: DeviceOptions): Promise<Device> {
  const key = JSON.stringify(options);
  let device = devices.get(key);
  if (!device) {
    // The kernels that run everywhere; those of a matrix unit have tests of their own (matrix-unit/units.ts).
    device = Device.open({ matrixUnit: null, ...options });
    devices.set(key, device);
  }
  return device;
}

/** @param tuning run the kernels as tuned for this kind of adapter, whatever the adapter is */
export function testDevice(tuning?: DeviceOptions['tuning']): Promise<Device> {
  return shared(tuning ? { tuning } : {});
}

/** Elements that one binding spans on `tightDevice`. */
export const TIGHT = 1024;

/** A device whose bindings are so small that operations on more than `TIGHT` elements must split. */
export function tightDevice(tuning?: DeviceOptions['tuning']): Promise<Device> {
  return shared({ ...(tuning && { tuning }), bindingBytes: 4 * TIGHT });
}
