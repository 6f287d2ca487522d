/** An engine over tiny data, and all that it said. */
import { parseSafetensors } from '../../../src/data/safetensors.ts';
import type { Device } from '../../../src/gpu/device.ts';
import type { Engine, EngineEvent, RunState } from '../../../src/web/protocol.ts';
import { AppEngine } from '../../../src/web/worker/engine.ts';
import { tinyDoor } from './tiny-data.ts';

export class Watched {
  readonly engine: Engine;
  readonly events: EngineEvent[] = [];
  #hear: (() => void)[] = [];

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** Over tiny data, on devices that `openDevice` gives. */
  static async open(openDevice: () => Promise<Device>): Promise<Watched> {
    const watched = new Watched(new AppEngine({ data: async () => tinyDoor, openDevice }));
    await watched.start();
    return watched;
  }

  start() {
    return this.engine.start((event) => {
      this.events.push(event);
      for (const hear of this.#hear.splice(0)) hear();
    });
  }

  get states(): RunState[] {
    return this.events.flatMap((event) => (event.type === 'run' ? [event.run] : []));
  }

  /** The first state from now on that is as wanted. */
  async until(wanted: (run: RunState) => boolean): Promise<RunState> {
    for (let seen = this.states.length; ; ) {
      const found = this.states.slice(seen).find(wanted);
      if (found) return found;
      seen = this.states.length;
      await new Promise<void>((resolve) => this.#hear.push(resolve));
    }
  }

  /** Until the training has come to rest; the state then. */
  ended(): Promise<RunState> {
    return this.until(({ phase }) => phase === 'finished' || phase === 'failed');
  }
}

/** Of every bit that was learnt. */
export async function modelDigest(engine: Engine): Promise<string> {
  const { tensors } = parseSafetensors(await modelBytes(engine), 'model');
  const values = [...tensors].map(([name, { data }]) => `${name} ${data.join(' ')}`);
  const bytes = new TextEncoder().encode(values.join('\n'));
  const hash = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function modelBytes(engine: Engine): Promise<Uint8Array> {
  return new Uint8Array(await (await engine.exportModel()).arrayBuffer());
}
