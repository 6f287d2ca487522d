/** Names of files under way, and the removal of those that a killed process left. */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { readError } from './read-file.ts';

/** `.NAME.PID-PLACE-RANDOM.tmp`, where `place` says in which process table PID is to be looked up. */
const PATTERN = /^\.(.+)\.(\d+)-([0-9a-f]{8})-[0-9a-f]{8}\.tmp$/;
/** A file of another computer, or container, is taken for left over when nobody has written to it for so long. */
const FOREIGN_MS = 24 * 3600 * 1000;

/** A name for the file under way, in the folder of `path`. */
export async function temporaryName(path: string): Promise<string> {
  const random = randomBytes(4).toString('hex');
  const name = `.${basename(path)}.${process.pid}-${await processTable()}-${random}.tmp`;
  return join(dirname(path), name);
}

/**
 * Removes what killed processes left of the files that `ofOurs` names, in one folder. Files of living processes stay: of this computer,
 * those whose process lives; of others that share the folder, those written to in the last day.
 *
 * Call it before this process writes into the folder itself: a file with its own number is of an earlier process.
 *
 * @returns the names of the files that were not finished
 * @throws HistogradError as `readError`
 */
export async function sweepTemporaryFiles(
  folder: string,
  ofOurs: (name: string) => boolean,
): Promise<string[]> {
  const here = await processTable();
  const swept: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause) => {
    throw readError(folder, cause);
  });
  for (const entry of entries) {
    const [, name = '', pid = '', place = ''] = PATTERN.exec(entry.name) ?? [];
    if (!entry.isFile() || name === '' || !ofOurs(name)) continue;
    const path = join(folder, entry.name);
    const alive = place === here ? await isAlive(Number(pid)) : await isFresh(path);
    if (alive) continue;
    // One that cannot be removed does no harm.
    const gone = await rm(path).then(
      () => true,
      () => false,
    );
    if (gone) swept.push(name);
  }
  return swept;
}

async function isAlive(pid: number): Promise<boolean> {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Only this says that there is none; a process of another user may not be signalled.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
  }
  // In a container whose first process waits for nobody, a killed one stays in the table for ever, as a zombie.
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/\) [ZX] [^)]*$/.test(status);
}

async function isFresh(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found === null || Date.now() - found.mtimeMs < FOREIGN_MS;
}

let table: Promise<string> | undefined;

/** Containers may share a host name, but not the table of their processes. */
function processTable(): Promise<string> {
  table ??= readlink('/proc/self/ns/pid')
    .catch(() => '')
    .then((namespace) =>
      createHash('sha256').update(`${hostname()} ${namespace}`).digest('hex').slice(0, 8),
    );
  return table;
}
