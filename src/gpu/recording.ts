/**
 * What a step did, kept to be done again: its dispatches, copies and writes, with pipelines, bind groups and buffers
 * found already, and what the host does besides.
 *
 * Nothing that changes from step to step may freeze into it. Parameters that change are given to `Device.run` as a
 * function, and state of the host changes inside `everyStep`; replays evaluate both anew, and a dry run
 * (`Device.compileAhead`) changes neither. What was forgotten shows when the recordings of two steps differ.
 */
import { HistogradError } from '../errors.ts';
import type { PooledBuffer } from './buffer-pool.ts';

interface Command {
  /** What is done, in words that equal steps share. */
  readonly what: string;
  /** Parameters or data that replays repeat as they are. */
  readonly fixed: Uint8Array | null;
  /** What it works on. */
  readonly buffers: readonly PooledBuffer[];
  run(): void;
}

let current: Recording | null = null;
/** What takes back what the host did in the dry run under way. */
let undoing: (() => void)[] | null = null;

/**
 * Does `action` now, and again in every replay when a step is being recorded.
 *
 * @param undo takes it back, after a dry run
 */
export function everyStep(action: () => void, undo: () => void): void {
  action();
  undoing?.push(undo);
  record(() => ({ what: 'host', fixed: null, buffers: [], run: action }));
}

/** Runs `body`, and takes back what it did in `everyStep`, the last first. */
export function dryRun<T>(body: () => T): T {
  const before = undoing;
  const undos: (() => void)[] = [];
  undoing = undos;
  try {
    return body();
  } finally {
    undoing = before;
    for (const undo of undos.reverse()) undo();
  }
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
  /** Those of them that the step made itself. */
  #made: ReadonlySet<PooledBuffer> = new Set();

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

  /**
   * Notes the buffers, of those used, that belong to others than the recording.
   *
   * @param made those that the step left behind
   */
  borrow(buffers: Iterable<PooledBuffer>, made: readonly PooledBuffer[]): void {
    for (const buffer of buffers) this.#borrowed.set(buffer, buffer.lives);
    this.#made = new Set(made);
  }

  replay(): void {
    for (const [buffer, lives] of this.#borrowed) if (buffer.lives !== lives) throw freed();
    for (const command of this.commands) command.run();
  }

  /**
   * The error to throw unless `next`, the recording of the step after, does the same with the same values, and with the
   * same buffers where they are not its own.
   */
  difference(next: Recording): HistogradError | null {
    const { commands } = next;
    const sameBuffers = (a: Command, b: Command | undefined) =>
      a.buffers.every((buffer, i) => {
        const now = b?.buffers[i];
        return buffer === now || !(this.#isGiven(buffer) || (now && next.#isGiven(now)));
      });
    const at = this.commands.findIndex(
      (command, i) => !same(command, commands[i]) || !sameBuffers(command, commands[i]),
    );
    if (at < 0 && commands.length === this.commands.length) return null;
    const [before, now] = [this.commands[at], commands[at < 0 ? this.commands.length : at]];
    let detail = `${before?.what ?? 'the end'} became ${now?.what ?? 'the end'}`;
    if (before && before.what === now?.what)
      detail = `${before.what} had other ${same(before, now) ? 'tensors' : 'values'}`;
    return new HistogradError(
      'capture',
      `A step cannot be replayed: from one step to the next, ${detail}.`,
      'Pass data that changes as inputs, and numbers that change as functions (an optimiser takes its factor so); or do not capture the step.',
    );
  }

  /** Is it somebody's who is there before the step? */
  #isGiven(buffer: PooledBuffer): boolean {
    return this.#borrowed.has(buffer) && !this.#made.has(buffer);
  }
}

/** The same deed with the same values. */
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
