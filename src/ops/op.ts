/**
 * How an operation is declared: a name, the rule for its output's shape, the kernels that compute
 * it and its gradient. `defineOp` checks the inputs, allocates the output, records the tape node
 * and enters the operation into the registry from which the tests are generated.
 */
import { asOperands } from '../autograd/autocast.ts';
import { record, records, requiresGrad } from '../autograd/tape.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { scope } from '../tensor/scope.ts';
import { type DType, type Shape, Tensor } from '../tensor/tensor.ts';

/** What docs/ops.md says of an operation. */
export interface OpDescription {
  /** Names and shapes of the inputs, as `x [..., n], weight [n]`; `?` behind those that may be missing. */
  readonly inputs: string;
  /** The shape of the result. */
  readonly output: string;
  /** Floating-point operations of the forward pass, in the letters of the shapes. */
  readonly cost: string;
  /** The first so many inputs are multiplied: all of them may be float16, and `autocast` makes them so (0). */
  readonly operands?: number;
}

export interface OpDefinition<Options> extends OpDescription {
  readonly name: string;
  /** The output's shape; throws (`shapeError`) when the inputs do not fit. */
  shape(inputs: readonly Shape[], options: Options): Shape;
  /** For operations that take float32 and float16 alike, the output's dtype; without it inputs and output are float32. */
  dtype?(options: Options): DType;
  /** Writes all of `output`. May return tensors that the gradient needs again (`saved`); others it made are freed. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most forwards save nothing, and return nothing
  forward(inputs: readonly Tensor[], options: Options, output: Tensor): readonly Tensor[] | void;
  /** Which values `gradient` reads, besides options and what was saved (both); of the others it asks shapes only. See `trimmed`. */
  readonly reads?: readonly ('inputs' | 'output')[];
  /** Gradients of the inputs from the gradient of the output; null where there is none. */
  gradient(context: GradientContext<Options>): readonly (Tensor | null)[];
}

export interface GradientContext<Options> {
  grad: Tensor;
  inputs: readonly Tensor[];
  output: Tensor;
  /** What `forward` returned. */
  saved: readonly Tensor[];
  options: Options;
  /** Whether anything wants the gradient of this input: skip the work if not. */
  needs: readonly boolean[];
}

export interface Op<Options> {
  readonly name: string;
  apply(inputs: readonly Tensor[], options: Options): Tensor;
}

const registry = new Map<string, OpDescription>();

/** Names of all operations, in order of declaration. */
export function opNames(): string[] {
  return [...registry.keys()];
}

export function describeOp(name: string): OpDescription | undefined {
  return registry.get(name);
}

/** What an operation was called with. */
export interface OpCall {
  readonly inputs: readonly Tensor[];
  readonly options: unknown;
}

/** Sees every result as it is recorded: to find the layer whose values went non-finite, to count what a network costs. */
export type OpObserver = (op: string, layer: string, output: Tensor, call: OpCall) => void;
let observer: OpObserver | null = null;
const layers: string[] = [];

export function observeOps<T>(see: OpObserver, body: () => T): T {
  observer = see;
  try {
    return body();
  } finally {
    observer = null;
  }
}

/** Names the layer that the operations in `body` belong to, for error messages. */
export function inLayer<T>(name: string, body: () => T): T {
  layers.push(name);
  try {
    return body();
  } finally {
    layers.pop();
  }
}

export function defineOp<Options>(definition: OpDefinition<Options>): Op<Options> {
  const { name, inputs, output, cost, operands = 0 } = definition;
  registry.set(name, { inputs, output, cost, operands });
  return {
    name,
    apply(given, options) {
      const device = commonDevice(name, given);
      const inputs = [...asOperands(given.slice(0, operands)), ...given.slice(operands)];
      if (!definition.dtype) checkDtypes(name, inputs, operands);
      const shape = definition.shape(
        inputs.map((t) => t.shape),
        options,
      );
      const output = Tensor.empty(device, shape, definition.dtype?.(options) ?? 'f32', name);
      // What `forward` made on the way goes now; what the gradient needs goes too, if there will be none.
      const saved = scope(() => {
        const made = definition.forward(inputs, options, output) ?? [];
        return records(inputs) ? made : [];
      });
      const gradient = (grad: Tensor) => {
        const needs = inputs.map(requiresGrad);
        return definition.gradient({ grad, inputs, output, saved, options, needs });
      };
      const { reads = ['inputs', 'output'] } = definition;
      record(name, output, inputs, gradient, [
        ...(reads.includes('inputs') ? inputs : []),
        ...(reads.includes('output') ? [output] : []),
        ...Object.values(options ?? {}).filter((value) => value instanceof Tensor),
        ...saved,
      ]);
      observer?.(name, layers.join('.'), output, { inputs, options });
      return output;
    },
  };
}

function commonDevice(name: string, inputs: readonly Tensor[]): Device {
  const wrong = inputs.findIndex((input) => !(input instanceof Tensor));
  if (wrong >= 0) {
    const found = String(inputs[wrong]);
    throw new HistogradError(
      'option',
      `${name}: expected a tensor as input ${wrong}, found ${found}.`,
      'Look at the order of the arguments: options come last, and a missing bias is null.',
    );
  }
  const [first] = inputs;
  if (!first) throw shapeError(name, 'at least one input', 'none');
  for (const [i, input] of inputs.entries()) {
    if (input.device !== first.device) {
      const where = `${input.device.adapter.name}, another device`;
      throw new HistogradError(
        'device-mismatch',
        `${name}: expected all inputs on the device of input 0 (${first.device.adapter.name}), found input ${i} on ${where}.`,
        'Create all tensors on one device.',
      );
    }
    if (input.dtype === 'u32' || input.dtype === 'i32') {
      throw new HistogradError(
        'dtype',
        `${name}: expected float32 inputs, found ${input.dtype} as input ${i}.`,
        'Give indices and offsets as options, and float32 tensors as inputs.',
      );
    }
  }
  return first.device;
}

/** Float16 is for the operands of products, and for all of them or none. */
function checkDtypes(name: string, inputs: readonly Tensor[], operands: number): void {
  const halves = operands > 0 && inputs[0]?.dtype === 'f16';
  for (const [i, { dtype }] of inputs.entries()) {
    const expected = halves && i < operands ? 'f16' : 'f32';
    if (dtype === expected) continue;
    throw new HistogradError(
      'dtype',
      i < operands
        ? `${name}: expected operands of one dtype, found ${inputs[0]!.dtype} as input 0 and ${dtype} as input ${i}.`
        : `${name}: expected float32 inputs, found ${dtype} as input ${i}.`,
      i < operands
        ? 'Convert one of them with cast(), or multiply inside autocast().'
        : "Convert it first: cast(x, 'f32').",
    );
  }
}

export function shapeError(op: string, expected: string, found: string): HistogradError {
  const path = layers.filter(Boolean).join('.');
  const where = path ? ` (in layer ${path})` : '';
  return new HistogradError(
    'shape',
    `${op}${where}: expected ${expected}, found ${found}.`,
    'Check the shapes of the inputs; shapes are row-major, features last.',
  );
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

export function formatShapes(shapes: readonly Shape[]): string {
  return shapes.map(formatShape).join(' and ');
}
