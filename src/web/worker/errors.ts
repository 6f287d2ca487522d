/** Errors as they cross to the page: plain data, with advice in the page's words instead of the command line's. */
import { HistogradError } from '../../errors.ts';
import type { EngineError } from '../protocol.ts';

const SMALLER =
  'Choose smaller settings: fewer patches per step, a smaller batch, fewer genes, or a narrower model (hidden).';

/** Where the library advises options of the command line. */
const ADVICE: Readonly<Record<string, string>> = {
  'out-of-memory': SMALLER,
  'tensor-too-large': SMALLER,
  'batch-too-large': SMALLER,
  'device-lost': 'Resume: the training goes on from its last checkpoint.',
  'non-finite-loss': 'Lower the learning rate, or standardise features and targets.',
  'non-finite-gradient': 'Lower the learning rate, or standardise features and targets.',
  'non-finite-prediction': 'The model diverged: train again with a lower learning rate.',
  'bad-checkpoint': 'Delete this run and train it again.',
  'no-patch-prediction': 'Maps need Direct-ABMIL, Direct-Patch-Level or ridge.',
};

const WHAT_TO_DO = '\n  What to do: ';
/** Flags in parentheses: `(--max-patches)`. */
const FLAGS = /\s*\(--[^)]*\)/g;

export function toEngineError(error: unknown): EngineError {
  if (error instanceof HistogradError) {
    const [problem = ''] = error.message.split(WHAT_TO_DO);
    const advice = ADVICE[error.code] ?? error.advice;
    return { code: error.code, problem, advice: advice.replaceAll(FLAGS, '') };
  }
  if (isEngineError(error)) return error;
  const problem = error instanceof Error ? error.message : String(error);
  // The browser's own words for a typed array that found no room.
  if (/allocation failed|Invalid typed array length/i.test(problem)) {
    return {
      code: 'out-of-memory',
      problem: `This tab is out of memory: ${problem}`,
      advice: SMALLER,
    };
  }
  return {
    code: 'unexpected',
    problem: `Something went wrong that should not: ${problem}`,
    advice:
      'Reload the page: a training goes on from its last checkpoint. If it happens again, please report it.',
  };
}

function isEngineError(value: unknown): value is EngineError {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    'problem' in value &&
    'advice' in value
  );
}
