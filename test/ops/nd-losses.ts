/** Cross-entropy with soft targets in float64. */
import type { Nd } from './nd.ts';

/** −Σ_c targets · log softmax(logits) of each row. */
export function softCrossEntropies(logits: Nd, targets: Nd): number[] {
  const [rows, n] = logits.shape as [number, number];
  return Array.from({ length: rows }, (_, r) => {
    const row = logits.data.subarray(r * n, (r + 1) * n);
    const most = row.reduce((m, v) => Math.max(m, v), -Infinity);
    const log = most + Math.log(row.reduce((t, v) => t + Math.exp(v - most), 0));
    return row.reduce((t, v, c) => t + targets.data[r * n + c]! * (log - v), 0);
  });
}
