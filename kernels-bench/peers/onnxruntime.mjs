/**
 * onnxruntime on its WebGPU provider (its own Dawn in this process, on the driver that VK_DRIVER_FILES or the system
 * gives), and on its CPU provider as an anchor. Forward only.
 */
import { readFileSync } from 'node:fs';
import { onnxModel } from './onnx-model.mjs';

const VERSION = JSON.parse(
  readFileSync(new URL('../node_modules/onnxruntime-node/package.json', import.meta.url), 'utf8'),
).version;

/** Threads that wait must not take the cores from those whose turn it is. */
const QUIET = { logSeverityLevel: 3, extra: { session: { intra_op: { allow_spinning: '0' } } } };

async function session(model, provider, options = {}) {
  const { default: ort } = await import('onnxruntime-node');
  return ort.InferenceSession.create(model, {
    executionProviders: [provider],
    ...QUIET,
    ...options,
  });
}

const nameOf = (provider) => `onnxruntime ${VERSION}, ${provider === 'cpu' ? 'CPU' : 'WebGPU'}`;

/** A whole network, with all of onnxruntime's fusions: its input [N, 3, H, W] in memory to its output in memory. */
export async function openNetwork(graph, provider) {
  const { default: ort } = await import('onnxruntime-node');
  const network = await session(onnxModel(graph), provider, { graphOptimizationLevel: 'all' });
  return {
    name: nameOf(provider),
    async run(input) {
      const images = new ort.Tensor('float32', input, graph.input.shape);
      const results = await network.run({ [graph.input.name]: images });
      return results[graph.output.name].data;
    },
    release: () => network.release(),
  };
}

function random(shape) {
  const data = new Float32Array(shape.reduce((n, d) => n * d, 1));
  for (let i = 0; i < data.length; i++) data[i] = Math.random() - 0.5;
  return { shape, data };
}
const whole = (...values) => ({ shape: [values.length], data: BigInt64Array.from(values, BigInt) });

/**
 * One node on random constants, not optimised, so that nothing is computed in advance. Only the first number of its result
 * is read back: reading all of it would be timed too.
 */
const operation = (shapes, node, rank) => (provider) => {
  let opened = null;
  const open = () => {
    const inputs = shapes.map((_, i) => `x${i}`);
    const constants = new Map(shapes.map((shape, i) => [`x${i}`, random(shape)]));
    constants.set('zeros', whole(...Array(rank).fill(0)));
    constants.set('ones', whole(...Array(rank).fill(1)));
    const first = { op: 'Slice', inputs: ['y', 'zeros', 'ones'], outputs: ['first'] };
    const nodes = [{ inputs, outputs: ['y'], ...node }, ...(rank > 0 ? [first] : [])];
    const output = { name: rank > 0 ? 'first' : 'y', shape: Array(rank).fill(1) };
    const model = onnxModel({ nodes, constants, output });
    return session(model, provider, { graphOptimizationLevel: 'disabled' });
  };
  return {
    async run(times) {
      opened ??= open();
      const opening = await opened;
      for (let i = 0; i < times; i++) await opening.run({});
    },
    dispose: () => void opened?.then((it) => it.release()),
  };
};

const ROWS = [4096, 1024];
const HEADS = Array(3).fill([1, 1024, 8 * 64]);
const windows = (size, stride) => {
  const pad = (size - 1) / 2;
  return { kernel_shape: [size, size], strides: [stride, stride], pads: [pad, pad, pad, pad] };
};

const WORK = {
  'matmul-1024': operation(
    [
      [1024, 1024],
      [1024, 1024],
    ],
    { op: 'MatMul' },
    2,
  ),
  'matmul-4096': operation(
    [
      [4096, 1024],
      [1024, 512],
    ],
    { op: 'MatMul' },
    2,
  ),
  'head-forward': operation(
    [
      [16, 1024],
      [20530, 1024],
    ],
    { op: 'Gemm', attributes: { transB: 1 } },
    2,
  ),
  'head-dx': operation(
    [
      [16, 20530],
      [20530, 1024],
    ],
    { op: 'MatMul' },
    2,
  ),
  'head-dw': operation(
    [
      [16, 20530],
      [16, 1024],
    ],
    { op: 'Gemm', attributes: { transA: 1 } },
    2,
  ),
  add: operation([[2 ** 24], [2 ** 24]], { op: 'Add' }, 1),
  sum: operation([[2 ** 24]], { op: 'ReduceSum', attributes: { keepdims: 0 } }, 0),
  gelu: operation([ROWS], { op: 'Gelu' }, 2),
  softmax: operation([ROWS], { op: 'Softmax', attributes: { axis: -1 } }, 2),
  'layer-norm': operation(
    [ROWS, [1024], [1024]],
    { op: 'LayerNormalization', attributes: { axis: -1 } },
    2,
  ),
  'conv3x3-forward': operation(
    [
      [8, 64, 56, 56],
      [64, 64, 3, 3],
    ],
    { op: 'Conv', attributes: windows(3, 1) },
    4,
  ),
  'conv7x7-forward': operation(
    [
      [8, 3, 224, 224],
      [64, 3, 7, 7],
    ],
    { op: 'Conv', attributes: windows(7, 2) },
    4,
  ),
  'attention-forward': operation(
    HEADS,
    { op: 'MultiHeadAttention', domain: 'com.microsoft', attributes: { num_heads: 8 } },
    3,
  ),
};

/** Both providers as peers for the kernel benches. */
export function open() {
  return ['webgpu', 'cpu'].map((provider) => ({
    name: nameOf(provider),
    work: Object.fromEntries(
      Object.entries(WORK).map(([id, prepare]) => [id, () => prepare(provider)]),
    ),
  }));
}
