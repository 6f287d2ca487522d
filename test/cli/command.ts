/** Runs the built command in a process of its own, on a small cohort in a temporary folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Papa from 'papaparse';
import { serializeSafetensors } from '../../src/data/safetensors.ts';
import { exampleCohort, GENES } from '../training/example.ts';

const CLI = fileURLToPath(new URL('../../dist/node/cli.js', import.meta.url));

export interface Outcome {
  /** Exit status; null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

/** @param watch is given the process once it runs, to signal it */
export async function histograd(
  args: readonly string[],
  watch?: (process: ChildProcess) => Promise<void>,
): Promise<Outcome> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const ended = new Promise<Outcome>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, out, err }));
  });
  try {
    await watch?.(child);
  } catch (cause) {
    child.kill('SIGKILL');
    throw new Error(`${cause instanceof Error ? cause.message : cause}; it said:\n${err}`, {
      cause,
    });
  }
  return ended;
}

/** Waits for a file that the process writes; fails when it ends without, and waits as long as it lives (machines differ). */
export async function appeared(path: string, process: ChildProcess): Promise<void> {
  while (!existsSync(path)) {
    if (process.exitCode !== null || process.signalCode !== null) {
      throw new Error(
        `${path} did not appear before the process ended (exit code ${process.exitCode}, signal ${process.signalCode})`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/**
 * Writes the example cohort as files; returns the flags that name them, and the temporary folder.
 *
 * @param settings of the features, as `histograd extract` stores them
 */
export async function cohortOnDisk(
  settings?: object,
): Promise<{ folder: string; flags: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'histograd-cli-'));
  const features = join(folder, 'features');
  await mkdir(features);
  const { source, bags, targets } = exampleCohort(12);
  for (const [i, { features: data, rows, width }] of bags.entries()) {
    const coords = Float32Array.from({ length: 2 * rows }, (_, at) => 256 * at);
    const tensors = {
      features: { shape: [rows, width], data },
      coords: { shape: [rows, 2], data: coords },
    };
    const slide = { file: `S${i}.svs`, bytes: i };
    const metadata = settings && { histograd: JSON.stringify({ ...settings, slide }) };
    const file = serializeSafetensors(tensors, metadata);
    await writeFile(join(features, `S${i}.safetensors`), file);
  }
  const table = source.slides.map(({ id }, i) => [
    id,
    ...targets.slice(i * GENES.length, (i + 1) * GENES.length),
  ]);
  await writeFile(join(folder, 'expression.csv'), Papa.unparse([['slide', ...GENES], ...table]));
  const patients = source.slides.map(({ id }, i) => [id, `P${i >> 1}`]);
  await writeFile(join(folder, 'patients.csv'), Papa.unparse([['slide', 'patient'], ...patients]));
  const flags = [
    ...['--features', features, '--expression', join(folder, 'expression.csv')],
    ...['--patients', join(folder, 'patients.csv')],
  ];
  return { folder, flags };
}
