/** What the benches make of times: floors, shares, ratios and warnings. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { currentCommit } from '../../kernels-bench/earlier.ts';
import { fasterThanProduct, type LadderRun } from '../../kernels-bench/ladders/climb.ts';
import { type BenchResult, boundBy, floorOf, type Timing } from '../../kernels-bench/run.ts';
import { benchTable, ladderTable } from '../../kernels-bench/table.ts';

const CEILINGS = { flops: 100e9, bandwidth: 10e9, matrixFlops: 400e9 };

function timing(median: number, given: Partial<Timing> = {}): Timing {
  const quartiles: [number, number] = [0.9 * median, 1.1 * median];
  return { median, quartiles, rounds: 5, runs: 1, first: 10 * median, gpu: null, ...given };
}

function result(id: string, given: Partial<BenchResult> = {}): BenchResult {
  const counts = { dispatches: 1, submissions: 1, liveBytes: 0, peakBytes: 0, liveBytesFlat: true };
  const cost = { flops: 1e9, bytes: 1e6 };
  return { id, name: id, ...cost, timing: timing(0.04), peers: {}, ...counts, ...given };
}

/** The cells of the line that begins so. */
function line(table: string, name: string): string[] {
  const lines = table.split('\n').map((text) => text.split('│').map((cell) => cell.trim()));
  return lines.find((cells) => cells[1] === name)?.slice(2, -1) ?? [];
}

const tableOf = (results: BenchResult[]) =>
  benchTable({ environment: {}, tuning: 'gpu', ceilings: CEILINGS, results }, null);

it('takes as floor the longer of the two ceilings, of halves that of the matrix unit', () => {
  const cost = { flops: 1e9, bytes: 50e6 };
  expect(floorOf({ id: 'matmul', ...cost }, CEILINGS)).toBe(0.01);
  expect(floorOf({ id: 'matmul-half', ...cost }, CEILINGS)).toBe(0.005);
  expect(floorOf({ id: 'abmil-mixed-step', flops: 4e9, bytes: 50e6 }, CEILINGS)).toBe(0.01);
  const none = { ...CEILINGS, matrixFlops: null };
  expect(floorOf({ id: 'matmul-half', ...cost }, none)).toBe(0.01);
  expect(boundBy(result('matmul-half', cost), none)).toBe('compute');
  expect(boundBy(result('matmul-half', cost), CEILINGS)).toBe('memory');
});

it('takes rates and shares of kernels by GPU time, of steps by the clock, and all ratios by the clock', () => {
  const both = {
    timing: timing(0.04, { gpu: 0.02 }),
    peers: { tfjs: timing(0.2, { gpu: 0.1, rounds: 2 }) },
  };
  const table = tableOf([result('matmul', both), result('mlp-step', both)]);
  const peer = '200 ms, 5.0x, n 2';
  const times = ['40 ms', '36 ms … 44 ms', '5', '20 ms', '400 ms'];
  expect(line(table, 'matmul')).toEqual([...times, '50.0 GFLOP/s', '50 %', peer]);
  expect(line(table, 'mlp-step')).toEqual([...times, '25.0 GFLOP/s', '25 %', peer]);
  expect(table).toContain('by GPU time');
});

it('has no quartiles of two rounds, and no GPU times where there are none', () => {
  const table = tableOf([result('matmul', { timing: timing(0.04, { rounds: 2 }) })]);
  expect(line(table, 'matmul')).toEqual(['40 ms', '', '2', '400 ms', '25.0 GFLOP/s', '25 %']);
  expect(table).not.toContain('GPU');
});

function ladder(...timings: Timing[]): LadderRun {
  const rungs = timings.map((each, i) => ({ name: `rung ${i}`, changed: '', timing: each }));
  return { environment: {}, id: 'x', name: 'x', flops: 1e9, bytes: 1, ceilings: CEILINGS, rungs };
}

it('warns of a product that is slower than another rung, beyond the spread of both', () => {
  const slower = ladder(timing(0.4), timing(0.1), timing(0.14));
  expect(fasterThanProduct(slower.rungs)?.name).toBe('rung 1');
  expect(ladderTable(slower)).toContain("slower than 'rung 1'");
  for (const last of [0.09, 0.11]) {
    const near = ladder(timing(0.4), timing(0.1), timing(last));
    expect(fasterThanProduct(near.rungs)).toBeNull();
    expect(ladderTable(near)).not.toContain('WARNING');
  }
  const onGpu = timing(0.05, { gpu: 0.04, gpuQuartiles: [0.039, 0.041] });
  const waits = timing(0.1, { gpu: 0.03, gpuQuartiles: [0.029, 0.031] });
  expect(fasterThanProduct(ladder(onGpu, waits).rungs)).toBeNull();
  expect(fasterThanProduct(ladder(waits, onGpu).rungs)?.name).toBe('rung 0');
});

it('marks results of engine, benches or peers that no commit has; results are none', () => {
  const root = mkdtempSync(join(tmpdir(), 'histograd-commit-'));
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x', ...args], { cwd: root });
  const write = (file: string, text: string) => {
    mkdirSync(join(root, file, '..'), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  git('init', '-q');
  git('commit', '-q', '--allow-empty', '-m', 'first');
  for (const own of ['results/ladders/a.json', 'report.html', 'patches.svg', 'README.md']) {
    write(`kernels-bench/${own}`, '');
  }
  expect(currentCommit(root)).toMatch(/^[0-9a-f]{40}$/);
  for (const file of [
    'kernels-bench/peers/tfjs.mjs',
    'kernels-bench/ladders/matmul/plain.wgsl',
    'vite-wgsl.ts',
    'package.json',
    'src/a.ts',
  ]) {
    write(file, '');
    expect(currentCommit(root), file).toMatch(/ with changes$/);
    rmSync(join(root, file));
  }
  rmSync(root, { recursive: true });
  expect(currentCommit(root)).toBe('');
});
