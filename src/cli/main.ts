#!/usr/bin/env node
/** The `histograd` command. Kept tiny, so that `--help` and usage errors answer at once. */
import { HistogradError } from '../errors.ts';
import { program } from './program.ts';

/** Errors that another command line would not have met. */
const USAGE: ReadonlySet<string> = new Set([
  'usage',
  'bad-option',
  'bad-folds',
  'bad-validation-fraction',
]);

try {
  await program().parseAsync();
  process.exit(process.exitCode ?? 0);
} catch (error) {
  process.exit(await explain(error));
}

/** Prints what went wrong and returns the exit status: 1 error, 2 usage, 130 interrupted. */
async function explain(error: unknown): Promise<number> {
  const { CommanderError } = await import('commander');
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof HistogradError && !process.env.HISTOGRAD_DEBUG) {
    process.stderr.write(`histograd: ${error.message}\n`);
  } else {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const hint =
      error instanceof HistogradError
        ? ''
        : '\n  This is a bug in histograd: please report it with these lines.';
    process.stderr.write(`histograd: ${text}${hint}\n`);
  }
  if (!(error instanceof HistogradError)) return 1;
  if (error.code === 'interrupted') return 130;
  return USAGE.has(error.code) ? 2 : 1;
}
