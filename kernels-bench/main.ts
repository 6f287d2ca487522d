/** `npm run bench`: the ceilings of the adapter, then every kernel and training step against them and against the peers. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import pc from 'picocolors';
import { adapterRequest } from '../src/cli/adapter-request.ts';
import { HistogradError } from '../src/errors.ts';
import { Device, type DeviceOptions } from '../src/gpu/device.ts';
import { scope } from '../src/tensor/scope.ts';
import { environmentOf } from '../src/training/environment.ts';
import type { Bench, Work } from './bench.ts';
import { benches } from './benches/all.ts';
import { measureCeilings } from './ceilings.ts';
import { type Contestant, type Effort, race } from './measure.ts';
import { measurePatches } from './patches.ts';
import { openPeers, type Peer } from './peers.ts';
import { type BenchResult, parseRun, type Run } from './run.ts';
import { FOLDER, saveResult, writeReport } from './save-result.ts';
import { benchTable } from './table.ts';

const QUICK: Effort = { roundSeconds: 0.05, rounds: 5, budgetSeconds: 2 };
const FULL: Effort = { roundSeconds: 0.2, rounds: 11, budgetSeconds: 10 };

interface Options {
  filter?: string;
  compare?: string;
  quick?: boolean;
  patches?: string | true;
  report?: boolean;
  adapter?: string;
  peers: boolean;
  save: boolean;
}

async function main(): Promise<void> {
  const program = new Command('npm run bench --')
    .description(
      'Times every kernel and training step: against the ceilings of this adapter, and against the peers installed in kernels-bench/.',
    )
    .option('--filter <text>', 'only benches whose name contains this text')
    .option(
      '--compare <file>',
      'show the ratio to an earlier result (kernels-bench/results/*.json)',
    )
    .option('--quick', 'fewer benches and rounds: under two minutes on a software adapter')
    .option(
      '--patches [most]',
      'instead: the cost of a step from 1000 to so many patches per slide (100000)',
    )
    .option('--report', 'instead: only write the page of the stored results')
    .option('--adapter <name>', 'auto, hardware, lavapipe or swiftshader')
    .option('--no-peers', 'do not time the peers')
    .option('--no-save', 'write no file');
  const options: Options = program.parse().opts();
  const adapter = adapterRequest(options.adapter);
  const request: DeviceOptions = adapter ? { adapter } : {};
  if (options.report) return writeReport();
  if (options.patches) return benchPatches(request, options);
  const device = await Device.open(request);
  const environment = await environmentOf(device);
  const before = options.compare
    ? parseRun(readFileSync(options.compare, 'utf8'), options.compare)
    : null;
  console.log(
    `${environment.adapter}, kernels tuned for a ${device.class === 'gpu' ? 'GPU' : 'CPU rasteriser'}; robustness and validation on`,
  );

  const ceilings = await measureCeilings(device);
  device.close();
  console.log(
    `ceilings: ${(ceilings.flops / 1e9).toFixed(1)} GFLOP/s float32, ${(ceilings.bandwidth / 1e9).toFixed(1)} GB/s`,
  );
  const peers = options.peers ? await openPeers(FOLDER, device.adapter) : [];
  if (options.peers && peers.length === 0) {
    console.log(pc.dim('no peers are installed: npm ci --ignore-scripts --prefix kernels-bench'));
  }

  const chosen = benches.filter(
    ({ name, quick }) =>
      (!options.quick || quick) &&
      (!options.filter || name.toLowerCase().includes(options.filter.toLowerCase())),
  );
  if (chosen.length === 0) {
    throw new HistogradError(
      'usage',
      `No bench has '${options.filter}' in its name.`,
      `There are: ${benches.map(({ name }) => name).join('; ')}.`,
    );
  }
  const results: BenchResult[] = [];
  for (const [i, bench] of chosen.entries()) {
    process.stderr.write(pc.dim(`[${i + 1}/${chosen.length}] ${bench.name}\n`));
    results.push(await timeBench(request, bench, peers, options.quick ? QUICK : FULL));
  }
  const run: Run = { environment, ceilings, tuning: device.class, results };
  console.log(benchTable(run, before));
  if (options.save && !options.filter) saveResult(options.quick ? 'quick' : '', run);
}

async function benchPatches(request: DeviceOptions, { patches, save }: Options): Promise<void> {
  const most = patches === true ? 100_000 : Number(patches);
  if (!(most >= 1000)) {
    throw new HistogradError(
      'usage',
      `--patches is '${patches}', expected a number from 1000 up.`,
      'For example --patches 1000000, which takes ten minutes and more on a software adapter.',
    );
  }
  const run = await measurePatches(request, most, (line) => console.log(line));
  if (save) saveResult('patches', run);
}

/** Each bench has a device of its own: what it compiles and keeps in memory is its own. */
async function timeBench(
  request: DeviceOptions,
  bench: Bench,
  peers: readonly Peer[],
  effort: Effort,
): Promise<BenchResult> {
  const device = await Device.open(request);
  const work = bench.prepare(device);
  const own = new OwnWork(device, work);
  const others = peers.flatMap((peer) => {
    const theirs = peer.prepare(bench.id);
    return theirs ? [{ name: peer.name, ...theirs }] : [];
  });
  const [timing, ...rivals] = await race([own, ...others], effort);
  const { live, peak } = device.memory;
  for (const each of [own, ...others]) each.dispose();
  device.close();
  return {
    id: bench.id,
    name: bench.name,
    ...work.cost,
    timing: timing!,
    peers: Object.fromEntries(others.map(({ name }, i) => [name, rivals[i]!])),
    ...own.counts,
    liveBytes: live,
    peakBytes: peak,
    liveBytesFlat: own.flat,
  };
}

class OwnWork implements Contestant {
  readonly name = 'histograd';
  readonly #device: Device;
  readonly #work: Work;
  /** Of one run. */
  counts = { dispatches: 0, submissions: 0 };
  /** Whether no run after the first left more bytes than it found. */
  flat = true;
  #runs = 0;

  constructor(device: Device, work: Work) {
    this.#device = device;
    this.#work = work;
  }

  async run(times: number): Promise<void> {
    const { dispatches, submissions } = this.#device.counts;
    const { live } = this.#device.memory;
    this.#repeat(times);
    await this.#device.sync();
    const after = this.#device.counts;
    if (times === 1) {
      this.counts = {
        dispatches: after.dispatches - dispatches,
        submissions: after.submissions - submissions,
      };
    }
    if (this.#runs++ > 0 && this.#device.memory.live !== live) this.flat = false;
  }

  gpuTime(times: number): Promise<number | null> {
    return this.#device.time(() => this.#repeat(times));
  }

  dispose(): void {
    this.#work.dispose();
  }

  #repeat(times: number): void {
    for (let i = 0; i < times; i++) scope(() => this.#work.run());
  }
}

await main().catch((error: unknown) => {
  console.error(error instanceof HistogradError ? error.message : error);
  process.exitCode = 1;
});
// Peers keep the process alive.
process.exit();
