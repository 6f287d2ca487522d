/** The peers that are installed (`npm ci --prefix kernels-bench`), opened in this process on the same WebGPU. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';

const PEERS = [
  { file: 'tfjs.mjs', needs: '@tensorflow/tfjs-backend-webgpu' },
  { file: 'jax-js.mjs', needs: '@jax-js/jax' },
];

interface PeerWork {
  run(times: number): Promise<void>;
  dispose(): void;
}

const isFunction = (value: unknown) => typeof value === 'function';
const peerSchema = z.object({
  name: z.string(),
  work: z.record(z.string(), z.custom<() => PeerWork>(isFunction)),
});

export interface Peer {
  readonly name: string;
  /** The peer's form of a bench, by its id; null when it has none. */
  prepare(id: string): PeerWork | null;
}

/** @param folder kernels-bench */
export async function openPeers(folder: string, gpu: GPU): Promise<Peer[]> {
  const installed = PEERS.filter(({ needs }) => existsSync(join(folder, 'node_modules', needs)));
  if (installed.length === 0) return [];
  const agent = { gpu, userAgent: 'node' };
  Object.defineProperty(globalThis, 'navigator', { value: agent, configurable: true });
  const peers: Peer[] = [];
  for (const { file } of installed) {
    const module = await import(pathToFileURL(join(folder, 'peers', file)).href);
    const { name, work } = peerSchema.parse(await module.open());
    peers.push({ name, prepare: (id) => work[id]?.() ?? null });
  }
  return peers;
}
