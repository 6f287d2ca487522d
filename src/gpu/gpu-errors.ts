/** What the GPU reports late or cannot give, as errors that say what to do. */
import { HistogradError } from '../errors.ts';

const SMALLER =
  'Use fewer bags per step, sample patches (--max-patches) or split the genes (--gene-regime chunks:K).';
const DEFECT =
  'This is a defect of histograd or of the driver: please report it with the output of `histograd doctor`.';

export function formatBytes(bytes: number): string {
  if (bytes < 2 ** 10) return `${bytes} B`;
  if (bytes < 2 ** 20) return `${(bytes / 2 ** 10).toFixed(1)} KiB`;
  if (bytes < 2 ** 30) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

export function deviceLost(reason: string): HistogradError {
  return new HistogradError(
    'device-lost',
    `The GPU device was lost (${reason}).`,
    'Start again; a training run goes on from its last checkpoint with --resume.',
  );
}

export function fromGpuError(error: { message: string }): HistogradError {
  const code = /out.of.memory/i.test(error.message) ? 'out-of-memory' : 'gpu-error';
  return new HistogradError(
    code,
    `The GPU reported: ${error.message}`,
    code === 'out-of-memory' ? SMALLER : DEFECT,
  );
}

export function invalidKernel(
  label: string,
  overrides: Readonly<Record<string, number | boolean>>,
  error: { message: string },
): HistogradError {
  return new HistogradError(
    'kernel-invalid',
    `Kernel ${label} ${JSON.stringify(overrides)} was refused: ${error.message}`,
    DEFECT,
  );
}

export function outOfMemory(
  purpose: string,
  size: number,
  live: number,
  pooled: number,
): HistogradError {
  return new HistogradError(
    'out-of-memory',
    `${purpose}: the GPU is out of memory: ${formatBytes(size)} asked, ${formatBytes(live)} live, ${formatBytes(pooled)} pooled.`,
    SMALLER,
  );
}

/** @param what completes "larger than the … that this adapter" */
export function tensorTooLarge(
  purpose: string,
  bytes: number,
  limit: number,
  what: string,
): HistogradError {
  return new HistogradError(
    'tensor-too-large',
    `${purpose}: a tensor of ${formatBytes(bytes)} is larger than the ${formatBytes(limit)} that this adapter ${what}.`,
    'Use fewer patches or genes at a time (--max-patches, --gene-regime chunks:K), or split the tensor.',
  );
}

export function tooManyWorkgroups(
  kernel: string,
  groups: readonly number[],
  limit: number,
): HistogradError {
  return new HistogradError(
    'tensor-too-large',
    `Kernel ${kernel}: a grid of ${groups.join(' x ')} workgroups exceeds the ${limit} per dimension of this adapter.`,
    'Split the batch or the rows.',
  );
}

export function noDevice(adapter: string, cause: unknown): HistogradError {
  return new HistogradError(
    'no-device',
    `The adapter ${adapter} gave no device: ${cause instanceof Error ? cause.message : String(cause)}`,
    'Look at `histograd doctor`; update the driver, or choose another adapter with --adapter or HISTOGRAD_ADAPTER.',
    { cause },
  );
}
