/** The peers that are installed (`npm ci --prefix kernels-bench`), opened in this process on the same adapter. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { type ChosenAdapter, chooseAdapter } from '../src/gpu/adapter.ts';
import { untilDone } from '../src/gpu/platform-node.ts';
import { numbers, summary } from './numbers.ts';
import type { OnnxGraph } from './onnx-graph.ts';

const ONNXRUNTIME = { file: 'onnxruntime.mjs', needs: 'onnxruntime-node' };
const PEERS = [
  { file: 'tfjs.mjs', needs: '@tensorflow/tfjs-backend-webgpu' },
  { file: 'jax-js.mjs', needs: '@jax-js/jax' },
  ONNXRUNTIME,
];

interface PeerWork {
  run(times: number): Promise<void>;
  /** Of the results on the common numbers: their `summary`; of a training step: its loss in two steps, without dropout. */
  summaries(): Promise<number[][]>;
  dispose(): void;
}

/** What the peers get from us. */
interface Tools {
  readonly numbers: typeof numbers;
  readonly summary: typeof summary;
  readonly python?: string;
}

/** A network that another runtime has loaded. */
interface PeerNetwork {
  readonly name: string;
  /** Its output of an input, both row-major. */
  run(input: Float32Array): Promise<Float32Array>;
  release(): Promise<void>;
}

type OpenNetwork = (graph: OnnxGraph, provider: 'webgpu' | 'cpu') => Promise<PeerNetwork>;

const isFunction = (value: unknown) => typeof value === 'function';
const peerSchema = z.object({
  name: z.string(),
  work: z.record(z.string(), z.custom<() => PeerWork>(isFunction)),
});
const moduleSchema = z.object({ open: z.custom<(tools: Tools) => unknown>(isFunction) });
const networkSchema = z.object({ openNetwork: z.custom<OpenNetwork>(isFunction) });

export interface Peer {
  readonly name: string;
  /** The peer's form of a bench, by its id; null when it has none. */
  prepare(id: string): PeerWork | null;
}

const installed = (folder: string, { needs }: { needs: string }) =>
  existsSync(join(folder, 'node_modules', needs));
const load = (folder: string, file: string): Promise<unknown> =>
  import(pathToFileURL(join(folder, 'peers', file)).href);

/**
 * onnxruntime brings its own Dawn, which can be told of the adapter only by VK_DRIVER_FILES: it takes the system's
 * best. Where that is not the adapter of the benches, comparing would be wrong.
 */
export function onnxruntimeShares({ request, kind }: ChosenAdapter): boolean {
  return request === 'auto' && kind !== 'embedded-software';
}

/**
 * @param folder kernels-bench
 * @param adapter the one of the benches
 * @param polling leave their waits as they come from npm
 */
export async function openPeers(
  folder: string,
  adapter: ChosenAdapter,
  polling = false,
): Promise<Peer[]> {
  const present = PEERS.filter((peer) => installed(folder, peer));
  // They ask for an adapter as in a browser, and get one like ours.
  const requestAdapter = async () => (await chooseAdapter(adapter.request)).adapter;
  const agent = { gpu: { requestAdapter }, userAgent: 'node' };
  Object.defineProperty(globalThis, 'navigator', { value: agent, configurable: true });
  const peers: Peer[] = [];
  for (const peer of present) {
    for (const each of await openModule(folder, peer.file)) {
      const elsewhere =
        peer === ONNXRUNTIME && each.name.includes('WebGPU') && !onnxruntimeShares(adapter);
      if (elsewhere) continue;
      const polls = peer !== ONNXRUNTIME && adapter.class === 'cpu';
      const asTheyCome = polls && polling ? { ...each, name: `${each.name}, polling` } : each;
      peers.push(polls && !polling ? napping(each) : asTheyCome);
    }
  }
  return peers;
}

/**
 * Leaves the cores to the driver while it waits, as our engine does: what Dawn's binding for Node takes of them is no
 * fault of the peer. (onnxruntime blocks its thread, and needs no such help.)
 */
function napping({ name, prepare }: Peer): Peer {
  return {
    name,
    prepare(id) {
      const work = prepare(id);
      return (
        work && {
          run: (times) => untilDone(work.run(times)),
          summaries: () => untilDone(work.summaries()),
          dispose: () => work.dispose(),
        }
      );
    },
  };
}

/** PyTorch on CUDA or on the same cores: no peer, but the anchor. @param python an interpreter that has it */
export function openPytorch(folder: string, python: string): Promise<Peer[]> {
  return openModule(folder, 'pytorch.mjs', python);
}

async function openModule(folder: string, file: string, python?: string): Promise<Peer[]> {
  const { open } = moduleSchema.parse(await load(folder, file));
  const opened = z
    .array(peerSchema)
    .parse([await open({ numbers, summary, ...(python && { python }) })].flat());
  return opened.map(({ name, work }) => ({ name, prepare: (id) => work[id]?.() ?? null }));
}

/** What loads a network into onnxruntime; null where it is not installed. */
export async function openOnnxruntime(folder: string): Promise<OpenNetwork | null> {
  if (!installed(folder, ONNXRUNTIME)) return null;
  return networkSchema.parse(await load(folder, ONNXRUNTIME.file)).openNetwork;
}
