/** How long the page's main thread is taken, whatever else the machine does. */
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright';
import { z } from 'zod';

const TASKS = 'disabled-by-default-devtools.timeline';

const event = z.object({
  name: z.string(),
  pid: z.number(),
  tid: z.number(),
  /** Microseconds of this thread's own processor time. */
  tdur: z.number().optional(),
  dur: z.number().optional(),
  args: z.object({ name: z.string().optional() }).loose().optional(),
});

export interface MainThread {
  readonly tasks: number;
  /** Milliseconds of processor time, and by the clock. */
  readonly longest: number;
  readonly longestByClock: number;
}

/**
 * Does `work` and measures the tasks of the page's main thread meanwhile. Processor time is the page's doing; by the
 * clock, a task is also as long as other programs keep the processor.
 */
export async function watchMainThread(
  browser: Browser,
  page: Page,
  work: () => Promise<void>,
): Promise<MainThread> {
  const path = join(tmpdir(), `histograd-trace-${process.pid}-${Date.now()}.json`);
  await browser.startTracing(page, { path, categories: [TASKS, '__metadata'] });
  await work();
  await browser.stopTracing();
  const { traceEvents } = JSON.parse(await readFile(path, 'utf8'));
  await rm(path);
  const events = z.array(event).parse(traceEvents);
  const main = new Set(
    events
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  const tasks = events.filter(
    ({ name, pid, tid, tdur }) =>
      name === 'RunTask' && tdur !== undefined && main.has(`${pid} ${tid}`),
  );
  return {
    tasks: tasks.length,
    longest: Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000,
    longestByClock: Math.max(...tasks.map(({ dur = 0 }) => dur)) / 1000,
  };
}
