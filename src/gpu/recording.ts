/**
 * What a step did, kept to be done again: its dispatches, copies and writes, with pipelines, bind groups and buffers
 * found already, and what the host does besides.
 *
 * Nothing that changes from step to step may freeze into it. Parameters that change are given to `Device.run` as a
 * function, and state of the host changes inside `everyStep`; replays evaluate both anew. What was forgotten shows
 * when the recordings of two steps differ.
 */
import { HistogradError } from '../errors.ts';
import type { PooledBuffer } from './buffer-pool.ts';

interface Command {
  /** What is done, in words that equal steps share. */
  readonly what: string;
  /** Parameters or data that replays repeat as they are. */
  readonly fixed: Uint8Array | null;
  run(): void;
}

let current: Recording | null = null;

/** Does `action` now, and again in every replay when a step is being recorded. */
export function everyStep(action: () => void): void {
  action();
  record(() => ({ what: 'host', fixed: null, run: action }));
}

/** Is a step being recorded? */
export function isRecording(): boolean {
  return current !== null;
}

/** Adds a command to the recording under way, if there is one. */
export function record(command: () => Command): void {
  current?.commands.push(command());
}

export class Recording {
  readonly commands: Command[] = [];
  /** Buffers that outlive the step, and how often they had been given back when it was recorded. */
  readonly #borrowed = new Map<PooledBuffer, number>();

  /** Records what `body` does. */
  during<T>(body: () => T): T {
    if (current) {
      throw new HistogradError(
        'capture',
        'A step was recorded inside another one.',
        'Capture the outer step only.',
      );
    }
    current = this;
    try {
      return body();
    } finally {
      current = null;
    }
  }

  /** Notes the buffers, of those used, that belong to others than the recording. */
  borrow(buffers: Iterable<PooledBuffer>): void {
    for (const buffer of buffers) this.#borrowed.set(buffer, buffer.lives);
  }

  replay(): void {
    for (const [buffer, lives] of this.#borrowed) if (buffer.lives !== lives) throw freed();
    for (const command of this.commands) command.run();
  }

  /** The error to throw unless `next`, the recording of the step after, does the same with the same values. */
  difference(next: Recording): HistogradError | null {
    const { commands } = next;
    const at = this.commands.findIndex((command, i) => !same(command, commands[i]));
    if (at < 0 && commands.length === this.commands.length) return null;
    const [before, now] = [this.commands[at], commands[at < 0 ? this.commands.length : at]];
    const detail =
      before && before.what === now?.what
        ? `${before.what} had other values`
        : `${before?.what ?? 'the end'} became ${now?.what ?? 'the end'}`;
    return new HistogradError(
      'capture',
      `A step cannot be replayed: from one step to the next, ${detail}.`,
      'Pass data that changes as inputs, and numbers that change as functions (an optimiser takes its factor so); or do not capture the step.',
    );
  }
}

function same(a: Command, b: Command | undefined): boolean {
  if (a.what !== b?.what || a.fixed?.length !== b.fixed?.length) return false;
  return a.fixed?.every((byte, i) => byte === b.fixed?.[i]) ?? true;
}

function freed(): HistogradError {
  return new HistogradError(
    'use-after-free',
    'A captured step was replayed after a tensor that it works on was freed.',
    'Dispose of the captured step before the model, optimiser or data that it was recorded with.',
  );
}
