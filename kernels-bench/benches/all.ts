import type { Bench } from '../bench.ts';
import { attentionBenches } from './attention.ts';
import { convBenches } from './conv2d.ts';
import { elementwiseBenches } from './elementwise.ts';
import { matmulBenches } from './matmul.ts';
import { mixedBenches } from './mixed.ts';
import { networkBenches } from './networks.ts';
import { sequoiaBenches } from './sequoia.ts';
import { stepBenches } from './steps.ts';

export const benches: readonly Bench[] = [
  ...matmulBenches,
  ...convBenches,
  ...attentionBenches,
  ...mixedBenches,
  ...elementwiseBenches,
  ...stepBenches,
  ...sequoiaBenches,
  ...networkBenches,
];
