import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sweepTemporaryFiles, temporaryName } from '../../../src/data/node/temporary-files.ts';
import { expectError } from '../expect-error.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'histograd-sweep-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const add = (name: string) => writeFileSync(join(folder, name), 'unfinished');
const sweep = () => sweepTemporaryFiles(folder, (name) => name.endsWith('.h5'));

/** The temporary name that another process would give to `path`. */
async function nameOf(path: string, { pid }: Pick<ChildProcess, 'pid'>): Promise<string> {
  const own = basename(await temporaryName(join(folder, path)));
  return own.replace(`.${process.pid}-`, `.${pid}-`);
}

it('removes the files of processes that are gone, and of no other', async () => {
  const living = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const killed = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  try {
    await Promise.all([once(living, 'spawn'), once(killed, 'spawn')]);
    const kept = await nameOf('a.h5', living);
    const left = await nameOf('b.h5', killed);
    for (const name of [kept, left]) add(name);
    expect(await sweep()).toEqual([]);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(await sweep()).toEqual(['b.h5']);
    expect(readdirSync(folder)).toEqual([kept]);
  } finally {
    living.kill();
    killed.kill();
  }
});

it.skipIf(!existsSync('/proc/self/stat'))('takes a zombie for gone', async () => {
  // `sleep` never asks what became of the child that it took over from the shell.
  const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 100']);
  try {
    const [line] = await once(parent.stdout, 'data');
    const pid = Number(line);
    add(await nameOf('a.h5', { pid }));
    while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) await setTimeout(5);
    expect(await sweep()).toEqual(['a.h5']);
  } finally {
    parent.kill();
  }
});

it('takes a file with its own number for one of an earlier process', async () => {
  add(basename(await temporaryName(join(folder, 'a.b.h5'))));
  expect(await sweep()).toEqual(['a.b.h5']);
});

it('waits a day for a process of another computer', async () => {
  const name = '.a.h5.123-00000000-0123abcd.tmp';
  add(name);
  expect(await sweep()).toEqual([]);
  const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
  utimesSync(join(folder, name), yesterday, yesterday);
  expect(await sweep()).toEqual(['a.h5']);
});

it('leaves alone what is not of ours', async () => {
  const text = await nameOf('a.txt', { pid: 2 ** 22 + 1 });
  const place = text.split('-')[1];
  const names = [
    'a.h5',
    '.a.h5.tmp',
    `.a.h5.${2 ** 22 + 1}-${place}.tmp`,
    `.a.h5.${2 ** 22 + 1}-${place}-0123abcd.tmp.bak`,
    `a.h5.${2 ** 22 + 1}-${place}-0123abcd.tmp`,
    text,
  ];
  for (const name of names) add(name);
  mkdirSync(join(folder, `.b.h5.${2 ** 22 + 1}-${place}-0123abcd.tmp`));
  expect(await sweep()).toEqual([]);
  expect(readdirSync(folder)).toHaveLength(names.length + 1);
  await expectError(
    () => sweepTemporaryFiles(join(folder, 'gone'), () => true),
    'no-file',
    /gone does not exist/,
  );
});
