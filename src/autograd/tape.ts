/**
 * Reverse-mode automatic differentiation.
 *
 * Each operation that touches something trained leaves a node: its inputs, and a function from the
 * gradient of its output to the gradients of its inputs. `backward` visits the nodes newest first,
 * which is a topological order, because an output is always younger than its inputs. Gradients are float32, those of
 * float16 tensors too: they are sums of many terms of any size.
 */
import { HistogradError } from '../errors.ts';
import { accumulate } from '../tensor/accumulate.ts';
import { keep, scope } from '../tensor/scope.ts';
import { sameShape, Tensor } from '../tensor/tensor.ts';
import { Parameter } from './parameter.ts';

export type Gradient = (grad: Tensor) => readonly (Tensor | null)[];

interface Node {
  readonly index: number;
  readonly op: string;
  readonly inputs: readonly Tensor[];
  /** Of the inputs and, last, the output. */
  readonly versions: readonly number[];
  readonly gradient: Gradient;
}

const nodes = new WeakMap<Tensor, Node>();
/** What gradients will read. */
const kept = new WeakSet<Tensor>();
/** Outputs whose node `backward` has used up. */
const spent = new WeakSet<Tensor>();
let nodeCount = 0;
let paused = 0;

/** Does a gradient flow into this tensor? */
export function requiresGrad(tensor: Tensor): boolean {
  if (tensor instanceof Parameter) return !tensor.frozen;
  return nodes.has(tensor) || spent.has(tensor);
}

/** Runs `body` without recording anything: for evaluation, and for updates of parameters. */
export function noGrad<T>(body: () => T): T {
  paused++;
  try {
    return body();
  } finally {
    paused--;
  }
}

/** Is there a node for this tensor that `backward` has not used up yet? */
export function onTape(tensor: Tensor): boolean {
  return nodes.has(tensor);
}

/** Does an operation on these inputs leave a node now? */
export function records(inputs: readonly Tensor[]): boolean {
  return paused === 0 && inputs.some(requiresGrad);
}

/**
 * Leaves a node on the tape, if any input requires a gradient.
 *
 * @param reads the tensors that `gradient` will read
 */
export function record(
  op: string,
  output: Tensor,
  inputs: readonly Tensor[],
  gradient: Gradient,
  reads: readonly Tensor[],
): void {
  if (!records(inputs)) return;
  for (const tensor of reads) kept.add(tensor);
  const versions = [...inputs, output].map((tensor) => tensor.version);
  nodes.set(output, { index: nodeCount++, op, inputs, versions, gradient });
}

/**
 * Runs `body`, a part of a forward pass, and frees what neither its result nor a gradient needs: activations that were
 * only on the way to others, and outside of training all of them.
 */
export function trimmed<T>(body: () => T): T {
  return scope(body, (_, tensor) => !kept.has(tensor));
}

/** Adds the gradient of `loss`, a tensor of one element, to `grad` of every parameter it was computed from. */
export function backward(loss: Tensor): void {
  if (loss.size !== 1) {
    throw new HistogradError(
      'shape',
      `backward() needs a loss of one element, found [${loss.shape.join(', ')}].`,
      'Reduce it first, with mean() or sum().',
    );
  }
  scope(() => backwardFrom(loss, Tensor.from(loss.device, [1], loss.shape)));
}

/** The same from a tensor of any shape, given the gradient `seed` of the final result with respect to it. */
export function backwardFrom(result: Tensor, seed: Tensor): void {
  if (!sameShape(result.shape, seed.shape)) {
    throw new HistogradError(
      'shape',
      `backwardFrom: expected a seed of shape [${result.shape.join(', ')}], that of the result, found [${seed.shape.join(', ')}].`,
      'Give one gradient for every element of the result.',
    );
  }
  if (seed.device !== result.device || seed.dtype !== 'f32') {
    const what = seed.device === result.device ? seed.dtype : `${seed.dtype} on another device`;
    throw new HistogradError(
      seed.device === result.device ? 'dtype' : 'device-mismatch',
      `backwardFrom: expected a seed of f32 on the device of the result, found ${what}.`,
      'Create a float32 seed where the result is.',
    );
  }
  if (!requiresGrad(result)) {
    throw new HistogradError(
      'no-gradient',
      'backward(): nothing that the loss was computed from requires a gradient.',
      'Make the trained tensors Parameters that are not frozen, and do not compute the loss inside noGrad().',
    );
  }
  const grads = new Map<Tensor, Tensor>();
  noGrad(() => {
    try {
      receive(grads, result, keep(seed.view()));
      for (const output of reachable(result)) {
        const node = nodes.get(output)!;
        const grad = grads.get(output);
        nodes.delete(output);
        spent.add(output);
        if (grad) {
          checkVersions(node, output);
          scope(() => passOn(node, grad, grads));
        }
        grads.delete(output);
        grad?.dispose();
      }
    } finally {
      for (const grad of grads.values()) grad.dispose(); // left over when a gradient threw
    }
  });
}

/** Values overwritten since the operation would give a gradient of something else. */
function checkVersions({ op, inputs, versions }: Node, output: Tensor): void {
  [...inputs, output].forEach((tensor, i) => {
    if (tensor.disposed || tensor.version === versions[i]) return; // freed: refused where it is used
    const which = i < inputs.length ? `input ${i}` : 'the result';
    throw new HistogradError(
      'modified-in-place',
      `backward(): ${which} of ${op}, a tensor of shape [${tensor.shape.join(', ')}], was overwritten after ${op} was computed: expected version ${versions[i]}, found version ${tensor.version}.`,
      'Call backward() before assign() and before the optimiser steps, or compute the loss again.',
    );
  });
}

/** Gives the inputs of `node` their gradients. */
function passOn(node: Node, grad: Tensor, grads: Map<Tensor, Tensor>): void {
  const inputGrads = node.gradient(grad);
  node.inputs.forEach((input, i) => {
    const inputGrad = inputGrads[i];
    if (!inputGrad || !requiresGrad(input)) return;
    if (!sameShape(input.shape, inputGrad.shape)) {
      throw new HistogradError(
        'gradient-shape',
        `The gradient of ${node.op} for input ${i} has shape [${inputGrad.shape.join(', ')}], expected [${input.shape.join(', ')}].`,
        `Correct the gradient in src/ops/ of ${node.op}.`,
      );
    }
    receive(grads, input, keep(inputGrad.view()));
  });
}

/** Adds `grad`, which it takes over, to what `tensor` has received. */
function receive(grads: Map<Tensor, Tensor>, tensor: Tensor, grad: Tensor): void {
  const before = tensor instanceof Parameter ? tensor.grad : grads.get(tensor);
  const total = before ? keep(accumulate(before, grad)) : grad;
  if (before) grad.dispose();
  if (tensor instanceof Parameter) tensor.grad = total;
  else {
    before?.dispose();
    grads.set(tensor, total);
  }
}

/** The outputs with a node that `loss` depends on, newest first. */
function reachable(loss: Tensor): Tensor[] {
  const found = new Set<Tensor>();
  const stack = [loss];
  for (let tensor = stack.pop(); tensor; tensor = stack.pop()) {
    if (found.has(tensor)) continue;
    const node = nodes.get(tensor);
    if (!node) {
      if (spent.has(tensor)) throw alreadySpent();
      continue;
    }
    found.add(tensor);
    stack.push(...node.inputs);
  }
  return [...found].sort((a, b) => nodes.get(b)!.index - nodes.get(a)!.index);
}

function alreadySpent(): HistogradError {
  return new HistogradError(
    'backward-twice',
    'backward() went through this graph before; its intermediate values are used up.',
    'Compute the loss again, or add the losses and call backward() once. Second derivatives are not supported.',
  );
}
