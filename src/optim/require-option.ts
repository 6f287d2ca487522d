import { HistogradError } from '../errors.ts';

/** Throws unless `ok`. */
export function requireOption(ok: boolean, name: string, expected: string, found: unknown): void {
  if (ok) return;
  throw new HistogradError(
    'option',
    `${name}: expected ${expected}, found ${found}.`,
    'Correct it.',
  );
}
