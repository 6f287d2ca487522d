/** Dropped files as a data set. */
import './no-eval.ts';
import type { Device } from '../../gpu/device.ts';
import type { DroppedFile, OpenOptions } from '../protocol.ts';
import type { Dataset, OnTask } from '../worker/dataset.ts';
import { openFeatureSet } from './feature-set.ts';
import { sniffAll } from './inspect.ts';
import { planFiles } from './plan.ts';
import { openSlideSet } from './slide-set.ts';
import { openSpotSet } from './spot-set.ts';

/** Errors: those of `planFiles` and of what is opened. */
export async function open(
  files: readonly DroppedFile[],
  options: OpenOptions,
  device: Device,
  onTask: OnTask,
): Promise<Dataset> {
  onTask('Looking at the files', 0, files.length);
  const plan = await planFiles(await sniffAll(files));
  switch (plan.opens) {
    case 'spots':
      return openSpotSet(plan, options, device, onTask);
    case 'slide-and-model':
      return openSlideSet(plan, options, device, onTask);
    default:
      return openFeatureSet(plan, onTask);
  }
}
