/** Intake where it runs in the page: in a worker, where files are read in place. */

import { Device } from '../../../src/gpu/device.ts';
import { inspectFiles, openFiles } from '../../../src/web/data/index.ts';
import type { DroppedFile } from '../../../src/web/protocol.ts';

self.onmessage = async ({ data }: MessageEvent<readonly DroppedFile[]>) => {
  try {
    const intake = await inspectFiles(data);
    const device = await Device.open();
    const dataset = await openFiles(data, {}, device, () => {});
    const { features } = await dataset.placeFeatures(0);
    const { x } = await dataset.places(0);
    postMessage({ intake, summary: dataset.summary, features, x, targets: dataset.targets });
    device.close();
  } catch (cause) {
    postMessage({ error: String(cause) });
  }
};
