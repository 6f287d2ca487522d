/** `npm run bench`: the ceilings of the adapter, then every kernel and training step against them and against the peers. */
import { join } from 'node:path';
import { Command } from 'commander';
import pc from 'picocolors';
import { adapterRequest } from '../src/cli/adapter-request.ts';
import { HistogradError } from '../src/errors.ts';
import { knobLines } from '../src/gpu/choose-tuning.ts';
import { Device, type DeviceOptions } from '../src/gpu/device.ts';
import { adapterLines } from './adapters.ts';
import { type Ceilings, measureCeilings } from './ceilings.ts';
import { forgetCompiled } from './cold.ts';
import { dispatchLines, measureDispatches } from './dispatch.ts';
import { openEarlier } from './earlier.ts';
import { benchEnvironment } from './environment.ts';
import { ladders } from './ladders/all.ts';
import { climb } from './ladders/climb.ts';
import type { Effort } from './measure.ts';
import { measurePatches } from './patches.ts';
import { openPeers, openPytorch, type Peer } from './peers.ts';
import { growth } from './report-patches.ts';
import type { Run } from './run.ts';
import { chooseBenches, runBenches } from './run-benches.ts';
import { FOLDER, ROOT, saveResult, writeReport } from './save-result.ts';
import { benchTable, ladderTable } from './table.ts';
import { tuneAdapter } from './tune.ts';

const QUICK: Effort = { roundSeconds: 0.05, rounds: 5, least: 3, budgetSeconds: 2 };
const FULL: Effort = { roundSeconds: 0.1, rounds: 11, least: 5, budgetSeconds: 10 };

interface Options {
  filter?: string;
  compare?: string;
  quick?: boolean;
  ladder?: string | true;
  patches?: string | true;
  dispatches?: boolean;
  tune?: boolean;
  again?: boolean;
  report?: boolean;
  adapter?: string;
  peers: boolean;
  polling?: boolean;
  torch?: string | true;
  save: boolean;
}

async function main(): Promise<void> {
  const program = new Command('npm run bench --')
    .description(
      'Times every kernel and training step: against the ceilings of this adapter, and against the peers installed in kernels-bench/.',
    )
    .option('--filter <text>', 'only benches whose name or id contains this text')
    .option(
      '--compare <commit or file>',
      'in turns with an earlier commit, or with that of a stored result (kernels-bench/results/*.json)',
    )
    .option('--quick', 'fewer benches and rounds: under two minutes on a software adapter')
    .option('--ladder [id]', 'instead: the versions of a kernel, from the plain one up (all)')
    .option(
      '--patches [most]',
      'instead: the cost of a step from 1000 to so many patches per slide (100000)',
    )
    .option(
      '--tune',
      'instead: find the tuning of this adapter (docs/tuning.md); goes on where it was interrupted',
    )
    .option('--again', 'with --tune: choices that were made before as well')
    .option('--dispatches', 'instead: what a dispatch costs the processor, as it is and replayed')
    .option(
      '--report',
      "instead: only write the page, its figures and the essays' tables from the stored results",
    )
    .option('--adapter <name>', 'auto, hardware, lavapipe or swiftshader')
    .option('--no-peers', 'do not time the peers')
    .option('--polling', 'leave the waits of TensorFlow.js and jax-js as they come from npm')
    .option('--torch [python]', 'PyTorch as well, on CUDA or on the same cores (/usr/bin/python3)')
    .option('--no-save', 'write no file');
  const options: Options = program.parse().opts();
  forgetCompiled();
  const adapter = adapterRequest(options.adapter);
  const request: DeviceOptions = adapter ? { adapter } : {};
  if (options.report) writeReport();
  else if (options.dispatches) await benchDispatches(request, options);
  else if (options.tune) {
    const folder = options.save ? join(FOLDER, 'results', 'tunings') : null;
    await tuneAdapter(request, { ...options, folder });
    if (folder) writeReport();
  } else if (options.patches) await benchPatches(request, options);
  else if (options.ladder) await climbLadders(request, options);
  else await benchAll(request, options);
}

async function benchAll(request: DeviceOptions, options: Options): Promise<void> {
  const earlier = options.compare ? await openEarlier(ROOT, options.compare) : null;
  const { device, environment, ceilings } = await measureAdapter(request);
  const chosen = chooseBenches(options, device.class);
  const peers = await openRivals(device, options);
  const effort = options.quick ? QUICK : FULL;
  const { results, before } = await runBenches(request, chosen, { peers, earlier }, effort);
  const run: Run = { environment, ceilings, tuning: device.class, results: [...results] };
  console.log(benchTable(run, earlier && { commit: earlier.commit, timings: before }));
  if (options.save && !options.filter) saveResult(options.quick ? 'quick' : '', run);
}

async function openRivals(device: Device, { peers, polling, torch }: Options): Promise<Peer[]> {
  const open = peers ? await openPeers(FOLDER, device.adapter, polling) : [];
  if (peers && open.length === 0) {
    console.log(pc.dim('no peers are installed: npm ci --ignore-scripts --prefix kernels-bench'));
  }
  if (!torch) return open;
  return [...open, ...(await openPytorch(FOLDER, torch === true ? '/usr/bin/python3' : torch))];
}

async function climbLadders(request: DeviceOptions, options: Options): Promise<void> {
  const chosen = ladders.filter(({ id }) => options.ladder === true || id === options.ladder);
  if (chosen.length === 0) {
    throw new HistogradError(
      'usage',
      `There is no ladder '${options.ladder}'.`,
      `There are: ${ladders.map(({ id }) => id).join(', ')}.`,
    );
  }
  const { environment, ceilings } = await measureAdapter(request);
  for (const ladder of chosen) {
    const climbed = await climb(request, ladder, options.quick ? QUICK : FULL);
    const run = { environment, ceilings, ...climbed };
    console.log(ladderTable(run));
    if (options.save && !options.quick) saveResult('ladders', run, ladder.id);
  }
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
  const { environment, ceilings } = await measureAdapter(request);
  const measured = await measurePatches(request, most, (line) => console.log(line));
  const run = { environment, ceilings, ...measured };
  console.log(growth(run));
  if (save) saveResult('patches', run);
}

async function benchDispatches(request: DeviceOptions, { save }: Options): Promise<void> {
  const run = await measureDispatches(request);
  console.log(dispatchLines(run));
  if (save) saveResult('dispatches', run);
}

/** Names the adapter and its ceilings; the device is closed. */
async function measureAdapter(
  request: DeviceOptions,
): Promise<{ device: Device; environment: Record<string, string>; ceilings: Ceilings }> {
  const device = await Device.open(request);
  const environment = await benchEnvironment(device);
  for (const line of await adapterLines(device.adapter)) console.log(line);
  for (const line of knobLines(device.chosenTuning)) console.log(line);
  const ceilings = await measureCeilings(device);
  device.close();
  const rate = (flops: number) => `${(flops / 1e9).toFixed(1)} GFLOP/s`;
  const matrix = ceilings.matrixFlops ? `, ${rate(ceilings.matrixFlops)} matrix unit` : '';
  const bandwidth = `${(ceilings.bandwidth / 1e9).toFixed(1)} GB/s`;
  console.log(`ceilings: ${rate(ceilings.flops)} float32${matrix}, ${bandwidth}`);
  return { device, environment, ceilings };
}

await main().catch((error: unknown) => {
  console.error(error instanceof HistogradError ? error.message : error);
  process.exitCode = 1;
});
// Peers keep the process alive.
process.exit();
