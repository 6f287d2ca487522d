/** What the project set itself on lavapipe: how many times as fast as the fastest WebGPU peer of the same run, by bench. */
import type { BenchResult, Run } from './run.ts';

const GOALS: Readonly<Record<string, number>> = {
  'matmul-1024': 2,
  'matmul-4096': 3,
  'head-forward': 3,
  'head-dx': 4,
  'head-dw': 3,
  'conv3x3-forward': 3,
  'conv3x3-gradients': 10,
  'conv7x7-forward': 3,
  'attention-forward': 1.2,
  'attention-both': 4,
  'layer-norm': 5,
  softmax: 1.3,
  gelu: 1.3,
  sum: 1.5,
  add: 1.2,
  'abmil-step': 5,
  'mlp-step': 5,
};

/** Null where none was set. */
export function goalOf({ id }: BenchResult, { environment }: Pick<Run, 'environment'>) {
  return environment.adapter?.includes('llvmpipe') ? (GOALS[id] ?? null) : null;
}

/** Those that compute through WebGPU, as we do: not PyTorch, not a runtime's CPU provider. */
export function isWebGpuPeer(name: string): boolean {
  return !/^PyTorch|, CPU$/.test(name);
}

/** The time of the fastest WebGPU peer over ours; null where none can do this. */
export function overFastestPeer({ timing, peers }: BenchResult): number | null {
  const times = Object.entries(peers).flatMap(([name, { median }]) =>
    isWebGpuPeer(name) ? [median] : [],
  );
  return times.length > 0 ? Math.min(...times) / timing.median : null;
}
