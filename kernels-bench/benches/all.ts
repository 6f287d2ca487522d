import type { Bench } from '../bench.ts';
import { elementwiseBenches } from './elementwise.ts';
import { matmulBenches } from './matmul.ts';
import { stepBenches } from './steps.ts';

export const benches: readonly Bench[] = [...matmulBenches, ...elementwiseBenches, ...stepBenches];
