/** What a command says while it works: a bar on a terminal, a line per fold elsewhere. */
import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import pc from 'picocolors';
import { HistogradError } from '../errors.ts';
import { formatCount, formatDuration, formatFixed, formatSignificant } from '../report/format.ts';
import type { TrainProgress } from '../training/task.ts';

export interface Talk {
  /** A line for people. */
  say(text: string): void;
  warn(text: string): void;
}

/** Talks on standard error where standard output is for data. */
export function talk({ quiet = false, json = false }): Talk {
  const stream = json ? process.stderr : process.stdout;
  return {
    say: (text) => {
      if (!quiet) stream.write(`${text}\n`);
    },
    warn: (text) => {
      process.stderr.write(`${pc.yellow('warning:')} ${text}\n`);
    },
  };
}

/** A log shows a line at the first end of an epoch after so long a silence. */
const QUIET_MS = 30_000;

/** Progress over all models of a run, in optimiser steps. */
export class RunProgress {
  readonly #bar: SingleBar | null;
  readonly #total: number;
  readonly #started = performance.now();
  /** Steps of models that are done, as planned (early stopping saves some). */
  #done = 0;
  /** Steps really taken, for the throughput. */
  #taken = 0;
  #lastStep = 0;
  #current = 0;
  readonly #say: Talk['say'];
  #saidAt = performance.now();

  constructor(totalSteps: number, visible: boolean, say: Talk['say']) {
    this.#say = say;
    this.#bar =
      visible && process.stderr.isTTY && totalSteps > 0
        ? new SingleBar({
            format:
              '{bar} {percentage}% {name}  epoch {epoch}  loss {loss}  {rate} steps/s  {left} left',
            stream: process.stderr,
            hideCursor: true,
            clearOnComplete: true,
            barsize: 20,
            fps: 5,
          })
        : null;
    this.#bar?.start(totalSteps, 0, { name: '', epoch: '', loss: '-', rate: '-', left: '-' });
    this.#total = totalSteps;
  }

  update(name: string, { step, epoch, epochs, loss, point, skipped = 0 }: TrainProgress): void {
    // A resumed model starts at a step it did not take now.
    if (step > this.#lastStep && this.#lastStep > 0) this.#taken += step - this.#lastStep;
    this.#lastStep = step;
    this.#current = step;
    if (point && performance.now() - this.#saidAt > QUIET_MS) {
      const score = point.validationPearson;
      this.line(
        `${name}: epoch ${point.epoch} of ${epochs}, loss ${formatSignificant(loss ?? Number.NaN)}${score === undefined ? '' : `, validation r ${formatFixed(score)}`}`,
      );
    }
    const seconds = (performance.now() - this.#started) / 1000;
    const rate = this.#taken / seconds;
    const left = (this.#total - this.#done - this.#current) / rate;
    this.#bar?.update(this.#done + step, {
      name,
      epoch: `${epoch}/${epochs}`,
      loss: `${loss === undefined ? '-' : loss.toPrecision(3)}${skipped > 0 ? `  ${formatCount(skipped, 'step')} left out` : ''}`,
      rate: rate > 0 ? rate.toPrecision(3) : '-',
      left: Number.isFinite(left) ? formatDuration(left) : '-',
    });
  }

  /** A line for logs; nothing on a terminal, which has the bar. */
  line(text: string): void {
    if (process.stderr.isTTY) return;
    this.#say(text);
    this.#saidAt = performance.now();
  }

  /** A model is done: its planned steps count as done. */
  finish(plannedSteps: number): void {
    this.#done += plannedSteps;
    this.#lastStep = 0;
    this.#current = 0;
    this.#bar?.update(this.#done);
  }

  stop(): void {
    this.#bar?.stop();
  }
}

/** A table for the terminal; the first row is the header. */
export function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const out = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (i === 0 ? 'left' : 'right')),
  });
  for (const row of rows) out.push([...row]);
  return out.toString();
}

/**
 * Runs `body` with a signal that the first Ctrl-C aborts, saying what is done then. The second one ends the process at once.
 *
 * @throws HistogradError `interrupted` when nothing that ran under the signal said so itself
 */
export async function interruptible<T>(
  { warn }: Talk,
  stopping: string,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    warn(`stopping: ${stopping} (Ctrl-C again stops at once)`);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await body(controller.signal);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

export function interrupted(out: string): HistogradError {
  return new HistogradError(
    'interrupted',
    'Training was interrupted between two models.',
    `What is finished is kept in ${out}: run the same command with --resume to go on.`,
  );
}
