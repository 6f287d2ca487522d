/**
 * An earlier commit of this repository as a contestant: its engine and its benches are built, and run in this process in
 * turns with today's, so that whatever slows the machine slows both.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { HistogradError } from '../src/errors.ts';
import type { openLane } from './lane.ts';
import { parseRun } from './run.ts';

const laneSchema = z.object({
  openLane: z.custom<typeof openLane>((value) => typeof value === 'function'),
});

export interface Earlier {
  /** Abbreviated. */
  readonly commit: string;
  readonly openLane: typeof openLane;
}

/**
 * @param root of the repository
 * @param what a stored result, whose commit is meant, or anything that git calls a commit
 * @throws HistogradError `usage` when it is neither; `bench-build` when that commit cannot be built
 */
export async function openEarlier(root: string, what: string): Promise<Earlier> {
  const commit = commitOf(root, what);
  const built = join(root, 'dist/bench-earlier', commit);
  if (!isCurrent(root, built)) build(root, commit, built);
  const { openLane } = laneSchema.parse(await import(pathToFileURL(join(built, 'bench.js')).href));
  return { commit: commit.slice(0, 9), openLane };
}

/** HEAD, and whether the working tree differs from it; '' outside a repository. */
export function currentCommit(root: string): string {
  try {
    const changed = git(root, 'status', '--porcelain', '--', ...MEASURED);
    return git(root, 'rev-parse', 'HEAD') + (changed ? CHANGED : '');
  } catch {
    return '';
  }
}

const CHANGED = ' with changes';

/** What times depend on: the engine, the benches, the peers, and how they are built; not what a run writes. */
const MEASURED = [
  ...['src', 'shaders', 'vite*.ts', 'package.json', 'package-lock.json', 'kernels-bench'],
  ...['results', 'report.html', 'patches.svg', '**/*.md'].map(
    (name) => `:(exclude,glob)kernels-bench/${name}`,
  ),
];

function commitOf(root: string, what: string): string {
  let name = what;
  if (existsSync(what)) {
    const { commit } = parseRun(readFileSync(what, 'utf8'), what).environment;
    if (!commit) {
      throw new HistogradError(
        'usage',
        `${what} does not say which commit it measured.`,
        'Name the commit instead: --compare <commit>.',
      );
    }
    if (commit.endsWith(CHANGED)) {
      console.warn(
        `${what} was measured with changes that no commit has; comparing with its commit.`,
      );
    }
    name = commit.replace(CHANGED, '');
  }
  try {
    return git(root, 'rev-parse', '--verify', `${name}^{commit}`);
  } catch {
    throw new HistogradError(
      'usage',
      `--compare is '${what}', which is neither a stored result nor a commit of this repository.`,
      'Give a file of kernels-bench/results/, or for example HEAD~1.',
    );
  }
}

/** What runs the benches of an earlier commit: today's. */
const HARNESS = ['lane.ts', 'own-work.ts'];

/** Was it built, and with the harness as it is now? */
function isCurrent(root: string, built: string): boolean {
  const bench = statSync(join(built, 'bench.js'), { throwIfNoEntry: false });
  const since = (name: string) => statSync(join(root, 'kernels-bench', name)).mtimeMs;
  return bench !== undefined && HARNESS.every((name) => since(name) < bench.mtimeMs);
}

function build(root: string, commit: string, built: string): void {
  const tree = join(root, 'node_modules/.cache/histograd-bench', commit);
  console.log(`building ${commit.slice(0, 9)} ...`);
  rmSync(tree, { recursive: true, force: true });
  git(root, 'worktree', 'prune');
  git(root, 'worktree', 'add', '--detach', tree, commit);
  try {
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
    // Its own benches, so that they fit its engine; only how they are run is today's.
    const own = (name: string) => join(root, 'kernels-bench', name);
    const there = (name: string) => join(tree, 'kernels-bench', name);
    for (const name of HARNESS) cpSync(own(name), there(name === 'lane.ts' ? 'main.ts' : name));
    execFileSync('npx', ['vite', 'build', '--mode', 'bench', '--logLevel', 'error'], {
      cwd: tree,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    rmSync(built, { recursive: true, force: true });
    cpSync(join(tree, 'dist/bench'), built, { recursive: true });
  } catch (cause) {
    throw new HistogradError(
      'bench-build',
      `The benches of ${commit.slice(0, 9)} could not be built: ${cause instanceof Error ? cause.message.split('\n')[0] : cause}.`,
      'Compare with a commit whose dependencies are those of today.',
    );
  } finally {
    git(root, 'worktree', 'remove', '--force', tree);
  }
}

function git(root: string, ...args: string[]): string {
  return execFileSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}
