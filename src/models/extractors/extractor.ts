import { requiresGrad } from '../../autograd/tape.ts';
import { HistogradError } from '../../errors.ts';
import { freeze } from '../../nn/freeze.ts';
import { Module } from '../../nn/module.ts';
import type { Sequential } from '../../nn/sequential.ts';
import { scope } from '../../tensor/scope.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** What the published weights expect of their images. */
export interface Preprocessing {
  /** Side of the square images, in pixels. */
  readonly size: number;
  /** How an image gets to that size. */
  readonly resize: 'bilinear' | 'bicubic' | 'none';
  /** Subtracted from the scaled pixels, in the order of `channels`. */
  readonly mean: readonly [number, number, number];
  /** What the pixels are divided by after that. */
  readonly std: readonly [number, number, number];
  /** What the bytes are multiplied by first: 1/255 or 1. */
  readonly scale: number;
  /** Order of the channels in the tensor; RGB where it is missing. */
  readonly channels?: 'rgb' | 'bgr';
}

/** Of torchvision's networks, and of most pathology networks after them. */
export const IMAGENET: Preprocessing = {
  size: 224,
  resize: 'bilinear',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  scale: 1 / 255,
};

/** Of kaiko's vision transformers and many of timm's: pixels to −1 … 1. */
export const HALVES: Preprocessing = { ...IMAGENET, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

/** A network that turns images into embeddings. */
export abstract class Extractor extends Module {
  abstract readonly preprocessing: Preprocessing;
  /** Length of an embedding. */
  abstract readonly width: number;
  /** Preprocessed images [N, 3, H, W] to embeddings [N, width]. */
  abstract forward(images: Tensor): Tensor;

  /**
   * The network from its images to its embeddings as names of modules and parameters, for layer-wise freezing and
   * learning rates. Unless a network says otherwise, by its top level, numbered layers one by one.
   */
  get stages(): readonly (readonly string[])[] {
    const tops = [...this.namedParameters().keys()].map((name) => /^[^.]+(\.\d+)?/.exec(name)![0]);
    return [...new Set(tops)].map((name) => [name]);
  }
}

/** Freezes the first `count` stages of a network (see `freeze`). */
export function freezeStages(extractor: Extractor, count: number): void {
  const { stages } = extractor;
  if (!Number.isInteger(count) || count < 0 || count > stages.length) {
    throw new HistogradError(
      'option',
      `freezeStages: expected 0 to ${stages.length} stages, found ${count}.`,
      `The stages are ${stages.map((names) => names.join(' + ')).join(', ')}.`,
    );
  }
  freeze(extractor, stages.slice(0, count).flat());
}

type Step = (x: Tensor) => Tensor;

/** The layers of a `Sequential` as steps of a `chain`. */
export function stepsOf(layers: Sequential): Step[] {
  return Array.from({ length: layers.length }, (_, i) => (x) => layers.at(i)!.forward(x));
}

/**
 * One step after another. Where no gradient will ask for them, intermediate values are freed as soon as the next
 * step has used them: extraction needs the memory of a few layers, not of the network.
 */
export function chain(input: Tensor, steps: readonly Step[]): Tensor {
  let x = input;
  for (const step of steps) {
    const y = scope(
      () => step(x),
      (result) => !requiresGrad(result),
    );
    if (x !== input && x !== y && !requiresGrad(y)) x.dispose();
    x = y;
  }
  return x;
}
