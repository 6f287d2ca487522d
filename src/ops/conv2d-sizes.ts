/** The numbers of a convolution, in PyTorch's terms, and their checks; shared by conv2d and its transpose. */
import { HistogradError } from '../errors.ts';
import type { Shape } from '../tensor/tensor.ts';

export type Pair = readonly [number, number];

/** Vertical and horizontal, or one number for both. */
export type PairLike = number | Pair;

/** Everything that the kernels of conv2d need to know, whichever way they run. */
export interface ConvSizes {
  readonly batch: number;
  readonly groups: number;
  /** Channels of the input and of the output of the convolution. */
  readonly inputs: number;
  readonly outputs: number;
  readonly size: Pair;
  readonly outSize: Pair;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Zeros above and to the left; those below and to the right follow from the sizes. */
  readonly padding: Pair;
}

export function pair(value: PairLike): Pair {
  return typeof value === 'number' ? [value, value] : value;
}

export function map2(map: (axis: 0 | 1) => number): Pair {
  return [map(0), map(1)];
}

/** Throws unless an option is a pair of integers from `least` on. */
export function checkPair(op: string, name: string, value: Pair, least: number): void {
  if (value.length !== 2 || !value.every((n) => Number.isInteger(n) && n >= least)) {
    throw new HistogradError(
      'option',
      `${op}: ${name} must be an integer of at least ${least}, or a pair of them, found [${value.join(', ')}].`,
      `Give ${name} as one number, or as [vertical, horizontal].`,
    );
  }
}

/** Throws unless both numbers of channels are multiples of `groups`. */
export function checkGroups(op: string, groups: number, inputs: number, outputs: number): void {
  const divides = (n: number) => n % groups === 0;
  if (!Number.isInteger(groups) || groups < 1 || !divides(inputs) || !divides(outputs)) {
    throw new HistogradError(
      'option',
      `${op}: groups must divide the ${inputs} input and the ${outputs} output channels, found ${groups}.`,
      'Choose another number of groups, or of channels.',
    );
  }
}

/** Does the optional bias have one number per channel? */
export function biasFits(bias: Shape | undefined, channels: number): boolean {
  return !bias || (bias.length === 1 && bias[0] === channels);
}

/** Every channel of the input has filters of its own. */
export function isDepthwise({ groups, inputs }: ConvSizes): boolean {
  return groups > 1 && groups === inputs;
}

/** Elements of one image of the input and of the output. */
export function imageWidths({ inputs, outputs, size, outSize }: ConvSizes): Pair {
  return [inputs * size[0] * size[1], outputs * outSize[0] * outSize[1]];
}
