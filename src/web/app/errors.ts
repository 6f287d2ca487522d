import type { EngineError } from '../protocol.ts';

/** What was thrown, as problem and advice; what is not ours is told with its own message. */
export function asEngineError(thrown: unknown): EngineError {
  if (typeof thrown === 'object' && thrown !== null) {
    const { code, problem, advice, message } = thrown as Partial<
      Record<'code' | 'problem' | 'advice' | 'message', unknown>
    >;
    if (typeof problem === 'string' && typeof advice === 'string') {
      return { code: typeof code === 'string' ? code : 'unexpected', problem, advice };
    }
    if (typeof message === 'string') return unexpected(message);
  }
  return unexpected(String(thrown));
}

function unexpected(problem: string): EngineError {
  return {
    code: 'unexpected',
    problem,
    advice:
      'Reload the page; finished steps are kept. If it comes back, copy the details for a report.',
  };
}
