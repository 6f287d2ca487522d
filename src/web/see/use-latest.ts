/** Asks the engine for what the screen needs now: one question at a time, and of those that wait only the last. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { asEngineError } from '../app/errors.ts';
import type { EngineError } from '../protocol.ts';

export interface Latest<T> {
  /** The last answer; stays while the next one is awaited. */
  readonly value: T | null;
  /** The key that `value` or `error` belongs to. */
  readonly key: string | null;
  readonly loading: boolean;
  readonly error: EngineError | null;
  retry(): void;
}

interface Question<T> {
  readonly key: string | null;
  readonly ask: () => Promise<T>;
}

/** Asks again whenever `key` changes; null asks nothing. */
export function useLatest<T>(
  key: string | null,
  ask: () => Promise<T>,
  onError: (error: EngineError) => void,
): Latest<T> {
  const [state, setState] = useState<Omit<Latest<T>, 'retry'>>({
    value: null,
    key: null,
    loading: key !== null,
    error: null,
  });
  const wanted = useRef<Question<T>>({ key: null, ask });
  const answered = useRef<string | null>(null);
  const busy = useRef(false);
  const mounted = useRef(true);
  const report = useRef(onError);
  report.current = onError;

  const work = async () => {
    if (busy.current) return;
    busy.current = true;
    while (mounted.current) {
      const question = wanted.current;
      if (question.key === null || question.key === answered.current) break;
      setState((before) => ({ ...before, loading: true, error: null }));
      let next: Pick<Latest<T>, 'value' | 'error'>;
      try {
        next = { value: await question.ask(), error: null };
      } catch (thrown) {
        next = { value: null, error: asEngineError(thrown) };
      }
      answered.current = question.key;
      if (!mounted.current) break;
      const waiting = wanted.current.key !== question.key;
      if (next.error && !waiting) report.current(next.error);
      setState({ ...next, key: question.key, loading: waiting });
    }
    busy.current = false;
  };

  // With the rendering, so that no answer is followed by a question that nobody asks any more.
  useLayoutEffect(() => {
    wanted.current = { key, ask };
    void work();
  }, [key]);
  useLayoutEffect(() => {
    mounted.current = true;
    return () => {
      mounted.current = false;
    };
  }, []);

  return {
    ...state,
    retry: () => {
      answered.current = null;
      void work();
    },
  };
}
