import { adamwLadder } from './adamw.ts';
import { attentionLadder } from './attention.ts';
import { conv2dLadder } from './conv2d.ts';
import { elementwiseLadder } from './elementwise.ts';
import type { Ladder } from './ladder.ts';
import { layerNormLadder } from './layer-norm.ts';
import { matmulLadder } from './matmul.ts';
import { skinnyLadder } from './matmul-skinny.ts';
import { reduceLadder } from './reduce.ts';
import { softmaxLadder } from './softmax.ts';

export const ladders: readonly Ladder[] = [
  adamwLadder,
  attentionLadder,
  conv2dLadder,
  elementwiseLadder,
  layerNormLadder,
  matmulLadder,
  reduceLadder,
  skinnyLadder,
  softmaxLadder,
];
