/** Checks options against a schema, with errors that name the option as the user wrote it. */
import { z } from 'zod';
import { HistogradError } from '../errors.ts';
import { nearestNames } from '../nearest-names.ts';

/**
 * @param where what the values come from: 'the command line', or a file's name
 * @throws HistogradError `usage`: an unknown option (with the nearest name), a wrong type, a missing one
 */
export function checkOptions<T>(schema: z.ZodType<T>, values: unknown, where: string): T {
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const problems = result.error.issues.flatMap((issue) => describe(issue, values, known));
  throw new HistogradError(
    'usage',
    `${where}: ${problems.join('; ')}.`,
    'Correct the options; --help behind the command lists them.',
  );
}

/** `maxPatches` as a flag. */
function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function describe(issue: z.core.$ZodIssue, values: unknown, known: readonly string[]): string[] {
  const [key] = issue.path;
  const name =
    typeof key === 'string' ? `${issue.path.join('.')} (${flagName(key)})` : 'the options';
  const found = look(values, issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((unknown) => {
        const near = issue.path.length === 0 ? nearestNames(unknown, known) : [];
        return `there is no option ${unknown}${near.length > 0 ? ` (did you mean ${near.join(' or ')}?)` : ''}`;
      });
    case 'invalid_value':
      return [`${name} must be one of ${issue.values.join(', ')}, found ${show(found)}`];
    case 'invalid_type':
      return [
        found === undefined
          ? `${name} is missing`
          : `${name} must be a ${issue.expected === 'int' ? 'whole number' : issue.expected}, found ${show(found)}`,
      ];
    case 'too_small':
      return [
        issue.origin === 'array'
          ? `${name} must not be empty`
          : `${name} must be ${issue.inclusive ? 'at least' : 'greater than'} ${issue.minimum}, found ${show(found)}`,
      ];
    case 'too_big':
      return [
        `${name} must be ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}, found ${show(found)}`,
      ];
    default:
      return [`${name}: ${issue.message}, found ${show(found)}`];
  }
}

function look(values: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined,
    values,
  );
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
