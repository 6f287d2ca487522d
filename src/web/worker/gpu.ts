/** The device of the page: opened once, and again when it goes away. */
import { HistogradError } from '../../errors.ts';
import { Device } from '../../gpu/device.ts';

/** Waits before each further attempt to open a device: the browser restarts its GPU process meanwhile. */
const RETRY_MILLISECONDS = [100, 400, 1000, 2000];

/** About the work of a small step: a larger one lets the browser draw in between. */
const DISPATCHES_PER_SUBMISSION = 32;

function openDevice(): Promise<Device> {
  return Device.open({ dispatchesPerSubmission: DISPATCHES_PER_SUBMISSION });
}

export class Gpu {
  readonly #open: () => Promise<Device>;
  readonly #onReturn: () => void;
  #device: Promise<Device> | null = null;
  #opened = 0;

  /** @param onReturn called when a lost device was replaced */
  constructor(onReturn: () => void, open = openDevice) {
    this.#open = open;
    this.#onReturn = onReturn;
  }

  /**
   * The device; a new one when the last was lost.
   *
   * @throws HistogradError `no-adapter`, `no-device`; `device-gone` where a lost one cannot be replaced
   */
  device(): Promise<Device> {
    this.#device ??= this.#openAgain();
    return this.#device;
  }

  /** Does `work`, once more if the device is lost meanwhile; for work that leaves nothing behind. */
  async use<T>(work: (device: Device) => Promise<T>): Promise<T> {
    try {
      return await work(await this.device());
    } catch (error) {
      if (!isLoss(error)) throw error;
      return work(await this.device());
    }
  }

  async #openAgain(): Promise<Device> {
    const first = this.#opened === 0;
    for (const wait of first ? [] : RETRY_MILLISECONDS) {
      try {
        return this.#watch(await this.#open());
      } catch {
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    try {
      return this.#watch(await this.#open());
    } catch (error) {
      this.#device = null;
      throw first ? error : gone(error);
    }
  }

  #watch(device: Device): Device {
    const opened = ++this.#opened;
    device.raw.lost.then(() => {
      if (opened === this.#opened) this.#device = null;
    });
    if (opened > 1) this.#onReturn();
    return device;
  }
}

/** Whether the device went away, so that another one may do. */
export function isLoss(error: unknown): boolean {
  return error instanceof HistogradError && error.code === 'device-lost';
}

/** Browsers give no adapter any more after a few crashes of their GPU process. */
function gone(cause: unknown): HistogradError {
  return new HistogradError(
    'device-gone',
    'The graphics processor was lost, and the browser does not give it back.',
    'Restart the browser and open this page again: a training goes on from its last checkpoint.',
    { cause },
  );
}
