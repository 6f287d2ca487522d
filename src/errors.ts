/**
 * The one error type users meet: what went wrong (with the expected and the found), and what to do.
 *
 * `code` is stable and machine-readable, for the CLI's exit status and for tests.
 */
export class HistogradError extends Error {
  readonly code: string;
  readonly problem: string;
  readonly advice: string;

  constructor(code: string, problem: string, advice: string, options?: ErrorOptions) {
    super(`${problem}\n  What to do: ${advice}`, options);
    this.name = 'HistogradError';
    this.code = code;
    this.problem = problem;
    this.advice = advice;
  }
}
