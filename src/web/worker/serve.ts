/** The worker's end: an engine whose errors cross as plain data and whose pictures are moved, not copied. */
import * as Comlink from 'comlink';
import type { Engine } from '../protocol.ts';
import { toEngineError } from './errors.ts';

export function serve(engine: Engine): void {
  Comlink.expose(
    new Proxy(engine, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return async (...args: unknown[]) => {
          try {
            const result: unknown = await Reflect.apply(method, target, args);
            return result instanceof ImageBitmap ? Comlink.transfer(result, [result]) : result;
          } catch (error) {
            const plain = toEngineError(error);
            if (plain.code === 'unexpected') console.error(error);
            throw plain;
          }
        };
      },
    }),
  );
}
