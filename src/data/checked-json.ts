/** JSON from outside: parsed and checked at once. */
import type { z } from 'zod';
import type { HistogradError } from '../errors.ts';

type Problem = (what: string) => HistogradError;

/**
 * @param problem makes the error of what is wrong, in words
 * @throws what `problem` made, when the text is not JSON or does not suit the schema
 */
export function parseJson<T>(text: string, schema: z.ZodType<T>, problem: Problem): T {
  const parsed = schema.safeParse(jsonValue(text, problem));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join('.') || 'the top level';
  throw problem(`at ${where}: ${issue?.message ?? 'unexpected content'}`);
}

/** As `parseJson`, to be checked by the caller: for code that a page loads at its start, without zod. */
export function jsonValue(text: string, problem: Problem): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw problem(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
