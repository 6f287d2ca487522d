/** Our way of doing a bench, on a device of its own: what it compiles and keeps in memory is its own. */
import { Device, type DeviceOptions } from '../src/gpu/device.ts';
import { scope } from '../src/tensor/scope.ts';
import type { Bench, Work } from './bench.ts';
import type { Contestant } from './measure.ts';

export class OwnWork implements Contestant {
  readonly name = 'histograd';
  readonly warmUps: number;
  readonly device: Device;
  readonly work: Work;
  /** Of one run. */
  counts = { dispatches: 0, submissions: 0 };
  /** Whether no run after those that warm it up left more bytes than it found. */
  flat = true;
  #runs = 0;

  static async open(request: DeviceOptions, bench: Bench): Promise<OwnWork> {
    const device = await Device.open(request);
    return new OwnWork(device, bench.prepare(device));
  }

  private constructor(device: Device, work: Work) {
    this.device = device;
    this.work = work;
    this.warmUps = work.warmUps ?? 1;
  }

  async run(times: number): Promise<void> {
    const { dispatches, submissions } = this.device.counts;
    const { live } = this.device.memory;
    this.#repeat(times);
    await this.device.sync();
    const after = this.device.counts;
    if (times === 1) {
      this.counts = {
        dispatches: after.dispatches - dispatches,
        submissions: after.submissions - submissions,
      };
    }
    if (this.#runs++ >= this.warmUps && this.device.memory.live !== live) this.flat = false;
  }

  gpuTime(times: number): Promise<number | null> {
    return this.device.time(() => this.#repeat(times));
  }

  dispose(): void {
    this.work.dispose();
    this.device.close();
  }

  #repeat(times: number): void {
    for (let i = 0; i < times; i++) scope(() => this.work.run());
  }
}
