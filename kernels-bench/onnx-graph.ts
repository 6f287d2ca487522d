/** A traced network in ONNX's terms, so that another runtime computes the same with the same weights. */
import { z } from 'zod';
import { HistogradError } from '../src/errors.ts';
import type { Shape, Tensor } from '../src/tensor/tensor.ts';
import type { TracedOp } from './trace.ts';

interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whole numbers, but for the names that end in `:f`, which are floats. */
  readonly attributes: Readonly<Record<string, number | readonly number[]>>;
}

interface OnnxConstant {
  readonly shape: Shape;
  readonly data: Float32Array | BigInt64Array;
}

export interface OnnxGraph {
  readonly input: { readonly name: string; readonly shape: Shape };
  readonly output: { readonly name: string; readonly shape: Shape };
  readonly nodes: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxConstant>;
}

type Attributes = OnnxNode['attributes'];

const pair = z.tuple([z.number(), z.number()]).readonly();
const pairLike = z.union([pair, z.number().transform((n): [number, number] => [n, n])]);
const poolOptions = z.strictObject({
  kernelSize: pairLike,
  stride: pairLike.optional(),
  padding: pairLike.default([0, 0]),
  dilation: pairLike.default([1, 1]),
  ceilMode: z.boolean().default(false),
  countIncludePad: z.boolean().default(true),
});
const convOptions = z.strictObject({
  stride: pair,
  padding: z.union([pair, z.tuple([pair, pair])]),
  dilation: pair,
  groups: z.number(),
});

/** Options are checked to be exactly those known here: one more would mean a network that computes something else. */
class Writer {
  readonly nodes: OnnxNode[] = [];
  readonly constants = new Map<string, OnnxConstant>();
  /** Tensors of the network that are no result of an operation: weights, to be read back. */
  readonly weights = new Map<Tensor, string>();
  readonly #names = new Map<Tensor, string>();
  #count = 0;

  constructor(input: Tensor, name: string) {
    this.#names.set(input, name);
  }

  nameOf(tensor: Tensor): string {
    const known = this.#names.get(tensor);
    if (known) return known;
    const name = this.#fresh('weight');
    this.#names.set(tensor, name);
    this.weights.set(tensor, name);
    return name;
  }

  #fresh(what: string): string {
    return `${what}_${this.#count++}`;
  }

  whole(...values: number[]): string {
    const name = this.#fresh('constant');
    const data = BigInt64Array.from(values, BigInt);
    this.constants.set(name, { shape: [values.length], data });
    return name;
  }

  float(value: number): string {
    const name = this.#fresh('constant');
    this.constants.set(name, { shape: [], data: Float32Array.of(value) });
    return name;
  }

  node(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.split(op, inputs, 1, attributes)[0]!;
  }

  split(
    op: string,
    inputs: readonly string[],
    count: number,
    attributes: Attributes = {},
  ): string[] {
    const outputs = Array.from({ length: count }, () => this.#fresh('value'));
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  write(traced: TracedOp): void {
    this.#names.set(traced.output, this.#result(traced));
  }

  #result({ op, inputs, options, output }: TracedOp): string {
    const names = inputs.map((input) => this.nameOf(input));
    const plain = (name: string) => {
      z.strictObject({}).parse(options);
      return this.node(name, names);
    };
    switch (op) {
      case 'relu':
        return plain('Relu');
      case 'gelu':
        return plain('Gelu');
      case 'add':
        return plain('Add');
      case 'mul':
        return plain('Mul');
      case 'clamp': {
        const { min, max } = z.strictObject({ min: z.number(), max: z.number() }).parse(options);
        return this.node('Clip', [...names, this.float(min), this.float(max)]);
      }
      case 'conv2d': {
        const { stride, padding, dilation, groups } = convOptions.parse(options);
        const sides = padding.map((zeros) => (typeof zeros === 'number' ? [zeros, zeros] : zeros));
        const pads = [0, 1].flatMap((side) => sides.map((zeros) => zeros[side]!));
        const windows = { strides: stride, pads, dilations: dilation };
        return this.node('Conv', names, { ...windows, group: groups });
      }
      case 'batch-norm':
        return this.#batchNorm(names, options);
      case 'max-pool2d': {
        const { countIncludePad: _, ...windows } = poolOptions.parse(options);
        return this.node('MaxPool', names, poolAttributes(windows));
      }
      case 'avg-pool2d': {
        const { countIncludePad, ...windows } = poolOptions.parse(options);
        const { dilations: _, ...attributes } = poolAttributes(windows);
        const count_include_pad = Number(countIncludePad);
        return this.node('AveragePool', names, { ...attributes, count_include_pad });
      }
      case 'adaptive-avg-pool2d':
        z.strictObject({ outputSize: z.literal(1) }).parse(options);
        return this.node('GlobalAveragePool', names);
      case 'linear':
        return this.#linear(names, inputs);
      case 'layer-norm': {
        const { eps } = z.strictObject({ eps: z.number() }).parse(options);
        return this.node('LayerNormalization', names, { axis: -1, 'epsilon:f': eps });
      }
      case 'packed-attention': {
        const { heads } = z.strictObject({ heads: z.number() }).parse(options);
        return this.#attention(names, inputs[0]!.shape, heads);
      }
      case 'reshape':
        return this.node('Reshape', [...names, this.whole(...output.shape)]);
      case 'expand':
        return this.node('Expand', [...names, this.whole(...output.shape)]);
      case 'permute': {
        const { dims } = z.strictObject({ dims: z.array(z.number()).readonly() }).parse(options);
        return this.node('Transpose', names, { perm: dims });
      }
      case 'concat': {
        const { axis } = z.strictObject({ axis: z.number() }).parse(options);
        return this.node('Concat', names, { axis });
      }
      case 'slice': {
        const range = z.strictObject({ axis: z.number(), start: z.number(), end: z.number() });
        const { axis, start, end } = range.parse(options);
        return this.node('Slice', [...names, this.whole(start), this.whole(end), this.whole(axis)]);
      }
      case 'pad': {
        const zeros = z.strictObject({
          padding: z.array(z.number()).readonly(),
          mode: z.literal('constant').optional(),
          value: z.literal(0).optional(),
        });
        const { padding } = zeros.parse(options);
        const side = (behind: 0 | 1) =>
          output.shape.map((_, d) => padding[2 * (output.rank - 1 - d) + behind] ?? 0);
        return this.node('Pad', [...names, this.whole(...side(0), ...side(1))]);
      }
      default:
        throw new HistogradError(
          'no-onnx-form',
          `There is no ONNX form of '${op}'.`,
          'Add one to kernels-bench/onnx-graph.ts, or choose another network.',
        );
    }
  }

  #batchNorm(names: readonly string[], options: unknown): string {
    const { eps, runningMean, runningVar } = z
      .strictObject({
        training: z.literal(false),
        momentum: z.number(),
        eps: z.number(),
        runningMean: z.custom<Tensor>(),
        runningVar: z.custom<Tensor>(),
      })
      .parse(options);
    const statistics = [this.nameOf(runningMean), this.nameOf(runningVar)];
    return this.node('BatchNormalization', [...names, ...statistics], { 'epsilon:f': eps });
  }

  /**
   * As PyTorch exports it: products and a softmax. onnxruntime's own MultiHeadAttention is off by 4e-3 on its WebGPU provider
   * (1.30, 197 tokens).
   */
  #attention(names: readonly string[], [batch, tokens, width]: Shape, heads: number): string {
    const head = width! / 3 / heads;
    const rows = this.node('Reshape', [...names, this.whole(batch!, tokens!, 3, heads, head)]);
    const byHead = this.node('Transpose', [rows], { perm: [2, 0, 3, 1, 4] });
    const [q, k, v] = this.split('Split', [byHead], 3, { axis: 0, num_outputs: 3 });
    const keys = this.node('Transpose', [k!], { perm: [0, 1, 2, 4, 3] });
    const scores = this.node('Mul', [
      this.node('MatMul', [q!, keys]),
      this.float(1 / Math.sqrt(head)),
    ]);
    const attended = this.node('MatMul', [this.node('Softmax', [scores], { axis: -1 }), v!]);
    const joined = this.node('Transpose', [attended], { perm: [0, 1, 3, 2, 4] });
    return this.node('Reshape', [joined, this.whole(batch!, tokens!, heads * head)]);
  }

  /** As PyTorch exports it: one Gemm for a matrix, a product with the transposed weight for more axes. */
  #linear([x, weight, bias]: readonly string[], inputs: readonly Tensor[]): string {
    const third = bias === undefined ? [] : [bias];
    if (inputs[0]!.rank === 2) return this.node('Gemm', [x!, weight!, ...third], { transB: 1 });
    const transposed = this.node('Transpose', [weight!], { perm: [1, 0] });
    const product = this.node('MatMul', [x!, transposed]);
    return bias === undefined ? product : this.node('Add', [product, bias]);
  }
}

function poolAttributes(options: Omit<z.infer<typeof poolOptions>, 'countIncludePad'>): Attributes {
  const { kernelSize, stride = kernelSize, padding, dilation, ceilMode } = options;
  return {
    kernel_shape: kernelSize,
    strides: stride,
    pads: [...padding, ...padding],
    dilations: dilation,
    ceil_mode: Number(ceilMode),
  };
}

/**
 * The graph from `input` to `output` that the operations make, with the weights read back from the GPU.
 *
 * @throws HistogradError `no-onnx-form` for an operation, ZodError for options, that ONNX is not known to have here
 */
export async function onnxGraph(
  ops: readonly TracedOp[],
  input: Tensor,
  output: Tensor,
): Promise<OnnxGraph> {
  const writer = new Writer(input, 'images');
  for (const op of ops) writer.write(op);
  for (const [tensor, name] of writer.weights) {
    writer.constants.set(name, { shape: tensor.shape, data: await tensor.floats() });
  }
  return {
    input: { name: 'images', shape: input.shape },
    output: { name: writer.nameOf(output), shape: output.shape },
    nodes: writer.nodes,
    constants: writer.constants,
  };
}
