/** `npm run bench`: the ceilings of the adapter, then every kernel and training step against them and against the peers. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import pc from 'picocolors';
import { adapterRequest } from '../src/cli/adapter-request.ts';
import { environmentOf } from '../src/cli/environment.ts';
import { HistogradError } from '../src/errors.ts';
import { Device } from '../src/gpu/device.ts';
import { scope } from '../src/tensor/scope.ts';
import type { Bench } from './bench.ts';
import { benches } from './benches/all.ts';
import { measureCeilings } from './ceilings.ts';
import { type Contestant, type Effort, race } from './measure.ts';
import { openPeers, type Peer } from './peers.ts';
import { writeReport } from './report.ts';
import { type BenchResult, parseRun, type Run } from './run.ts';
import { benchTable } from './table.ts';

const FOLDER = join(process.cwd(), 'kernels-bench');
const QUICK: Effort = { roundSeconds: 0.05, rounds: 5 };
const FULL: Effort = { roundSeconds: 0.2, rounds: 11 };

interface Options {
  filter?: string;
  compare?: string;
  quick?: boolean;
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
    .option('--adapter <name>', 'auto, hardware, lavapipe or swiftshader')
    .option('--no-peers', 'do not time the peers')
    .option('--no-save', 'write no file');
  const options: Options = program.parse().opts();
  const device = await Device.open({ adapter: adapterRequest(options.adapter) });
  const environment = await environmentOf(device);
  const before = options.compare
    ? parseRun(readFileSync(options.compare, 'utf8'), options.compare)
    : null;
  console.log(
    `${environment.adapter}, kernels tuned for a ${device.class === 'gpu' ? 'GPU' : 'CPU rasteriser'}; robustness and validation on`,
  );

  const ceilings = await measureCeilings(device);
  console.log(
    `ceilings: ${(ceilings.flops / 1e9).toFixed(1)} GFLOP/s float32, ${(ceilings.bandwidth / 1e9).toFixed(1)} GB/s`,
  );
  const peers = options.peers ? await openPeers(FOLDER, gpuOf()) : [];
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
    results.push(await timeBench(device, bench, peers, options.quick ? QUICK : FULL));
  }
  const run: Run = { environment, ceilings, tuning: device.class, results };
  console.log(benchTable(run, before));
  if (options.save && !options.filter) save(run);
  device.close();
}

async function timeBench(
  device: Device,
  bench: Bench,
  peers: readonly Peer[],
  effort: Effort,
): Promise<BenchResult> {
  const own = contestant(device, bench);
  const others = peers.flatMap((peer) => {
    const work = peer.prepare(bench.id);
    return work ? [{ name: peer.name, ...work }] : [];
  });
  const counts = device.counts;
  await own.run(1);
  const { dispatches, submissions } = device.counts;
  const live = device.memory.live;
  const contestants = [own, ...others];
  const [timing, ...rivals] = await race(contestants, effort);
  const flat = device.memory.live === live;
  for (const each of contestants) each.dispose();
  return {
    id: bench.id,
    name: bench.name,
    flops: bench.flops,
    bytes: bench.bytes,
    timing: timing!,
    peers: Object.fromEntries(others.map(({ name }, i) => [name, rivals[i]!])),
    dispatches: dispatches - counts.dispatches,
    submissions: submissions - counts.submissions,
    liveBytes: live,
    peakBytes: device.memory.peak,
    liveBytesFlat: flat,
  };
}

function contestant(device: Device, bench: Bench): Contestant {
  const work = bench.prepare(device);
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
    dispose: () => work.dispose(),
  };
}

/** The WebGPU that the engine opened its device on, for the peers to open theirs. */
function gpuOf(): GPU {
  const instances: unknown = Reflect.get(globalThis, Symbol.for('histograd.webgpu.instances'));
  const last = instances instanceof Map ? [...instances.values()].at(-1) : undefined;
  if (!last) throw new Error('no WebGPU instance is open');
  return last;
}

/** Results by adapter and day, and the page that shows all of them. */
function save(run: Run): void {
  const folder = join(FOLDER, 'results');
  mkdirSync(folder, { recursive: true });
  const adapter = (run.environment.adapter ?? 'adapter')
    .replaceAll(/[^\w.]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  const file = join(folder, `${adapter}-${(run.environment.date ?? '').slice(0, 10)}.json`);
  writeFileSync(`${file}.tmp`, `${JSON.stringify(run, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
  const page = writeReport(FOLDER);
  console.log(`${file}\n${page}`);
}

await main().catch((error: unknown) => {
  console.error(error instanceof HistogradError ? error.message : error);
  process.exitCode = 1;
});
// Peers keep the process alive.
process.exit();
