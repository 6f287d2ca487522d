/** The quick set of the kernel lab, in the browser. */
import type { Bench, Work } from '../../../kernels-bench/bench.ts';
import { benches } from '../../../kernels-bench/benches/all.ts';
import { type Contestant, type Effort, race } from '../../../kernels-bench/measure.ts';
import { Device } from '../../gpu/device.ts';
import { scope } from '../../tensor/scope.ts';
import type { BenchRow } from '../protocol.ts';
import type { OnTask } from './dataset.ts';

const EFFORT: Effort = { roundSeconds: 0.05, rounds: 3, least: 3, budgetSeconds: 1 };
/** Of an operation per byte: what does more is told by its operations, the rest by its bytes. */
const COMPUTE_BOUND = 4;

/** On a device of its own, whose memory is free again at the end. */
export async function quickBench(
  onTask: OnTask,
  chosen: readonly Bench[] = benches.filter(({ quick }) => quick),
): Promise<BenchRow[]> {
  const device = await Device.open();
  const rows: BenchRow[] = [];
  try {
    for (const [done, bench] of chosen.entries()) {
      onTask(bench.name, done, chosen.length);
      rows.push(await timeBench(device, bench));
    }
  } finally {
    device.close();
  }
  onTask('Kernel benchmarks', chosen.length, chosen.length);
  return rows;
}

async function timeBench(device: Device, bench: Bench): Promise<BenchRow> {
  const work = bench.prepare(device);
  const [timing] = await race([contestant(device, work)], EFFORT);
  const seconds = timing!.gpu ?? timing!.median;
  work.dispose();
  return { name: bench.name, milliseconds: 1000 * seconds, figure: rate(work, seconds) };
}

function contestant(device: Device, work: Work): Contestant {
  const repeat = (times: number) => {
    for (let i = 0; i < times; i++) scope(() => work.run());
  };
  return {
    name: 'histograd',
    async run(times) {
      repeat(times);
      await device.sync();
    },
    gpuTime: (times) => device.time(() => repeat(times)),
    dispose() {},
  };
}

function rate({ cost: { flops, bytes } }: Work, seconds: number): string {
  return flops > COMPUTE_BOUND * bytes
    ? `${(flops / seconds / 1e9).toFixed(1)} GFLOP/s`
    : `${(bytes / seconds / 1e9).toFixed(1)} GB/s`;
}
