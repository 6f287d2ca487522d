/** What computes, and about how fast: for the card at the start. */
import { measureCeilings, QUICK_CEILINGS } from '../../../kernels-bench/ceilings.ts';
import type { Device } from '../../gpu/device.ts';
import type { AdapterCard } from '../protocol.ts';

export async function adapterCard(device: Device): Promise<AdapterCard> {
  const { flops, bandwidth } = await measureCeilings(device, QUICK_CEILINGS);
  const { name, kind, adapter } = device.adapter;
  const { description, architecture, vendor } = adapter.info;
  return {
    name,
    kind: kind === 'hardware' ? 'hardware' : 'software',
    driver: description || architecture || vendor,
    gflops: flops / 1e9,
    gigabytesPerSecond: bandwidth / 1e9,
    maxBinding: device.bindingBytes,
    features: [...device.features].sort(),
  };
}
