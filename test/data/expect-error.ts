import { expect } from 'vitest';
import { HistogradError } from '../../src/errors.ts';

/** Checks that `act` fails with a HistogradError of that code whose text matches. */
export async function expectError(
  act: () => unknown,
  code: string,
  text: RegExp | string,
): Promise<void> {
  let thrown: unknown;
  try {
    await act();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(HistogradError);
  if (!(thrown instanceof HistogradError)) return;
  expect(thrown.code).toBe(code);
  expect(thrown.message).toMatch(text);
}
