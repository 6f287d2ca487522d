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

const integers = (values) => ({ shape: [values.length], data: BigInt64Array.from(values, BigInt) });

/** Of [heads, tokens, width], each token's heads side by side. */
function sideBySide(data, [heads, tokens, width]) {
  const result = new Float32Array(data.length);
  for (let h = 0; h < heads; h++) {
    for (let t = 0; t < tokens; t++) {
      const row = data.subarray((h * tokens + t) * width, (h * tokens + t + 1) * width);
      result.set(row, (t * heads + h) * width);
    }
  }
  return result;
}

/**
 * One node on constants, not optimised, so that nothing is computed in advance. Only the first number of its result
 * is read back: reading all of it would be timed too. That, and the call, are 0.1 ms of each run.
 *
 * @param result its shape
 */
const operation =
  (shapes, node, result) =>
  (provider, { numbers, summary }) => {
    const open = (whole) => {
      const inputs = shapes.map((_, i) => `x${i}`);
      const constants = new Map(
        shapes.map((shape, i) => {
          const data = numbers(shape, i + 1);
          const constant =
            shape === HEADS
              ? { shape: [1, 1024, 8 * 64], data: sideBySide(data, shape) }
              : { shape, data };
          return [`x${i}`, constant];
        }),
      );
      const rank = result.length;
      constants.set('zeros', integers(Array(rank).fill(0)));
      constants.set('ones', integers(Array(rank).fill(1)));
      const first = { op: 'Slice', inputs: ['y', 'zeros', 'ones'], outputs: ['first'] };
      const sliced = rank > 0 && !whole;
      const nodes = [{ inputs, outputs: ['y'], ...node }, ...(sliced ? [first] : [])];
      const output = sliced
        ? { name: 'first', shape: Array(rank).fill(1) }
        : { name: 'y', shape: result };
      const model = onnxModel({ nodes, constants, output });
      return session(model, provider, { graphOptimizationLevel: 'disabled' });
    };
    let opened = null;
    return {
      async run(times) {
        opened ??= open(false);
        const opening = await opened;
        for (let i = 0; i < times; i++) await opening.run({});
      },
      async summaries() {
        const opening = await open(true);
        const { y } = await opening.run({});
        await opening.release();
        return [summary(y.data)];
      },
      dispose: () => void opened?.then((it) => it.release()),
    };
  };

const ROWS = [4096, 1024];
const HEADS = [8, 1024, 64];
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
    [1024, 1024],
  ),
  'matmul-4096': operation(
    [
      [4096, 1024],
      [1024, 512],
    ],
    { op: 'MatMul' },
    [4096, 512],
  ),
  'head-forward': operation(
    [
      [16, 1024],
      [20530, 1024],
    ],
    { op: 'Gemm', attributes: { transB: 1 } },
    [16, 20530],
  ),
  'head-dx': operation(
    [
      [16, 20530],
      [20530, 1024],
    ],
    { op: 'MatMul' },
    [16, 1024],
  ),
  'head-dw': operation(
    [
      [16, 20530],
      [16, 1024],
    ],
    { op: 'Gemm', attributes: { transA: 1 } },
    [20530, 1024],
  ),
  add: operation([[2 ** 24], [2 ** 24]], { op: 'Add' }, [2 ** 24]),
  sum: operation([[2 ** 24]], { op: 'ReduceSum', attributes: { keepdims: 0 } }, []),
  gelu: operation([ROWS], { op: 'Gelu' }, ROWS),
  softmax: operation([ROWS], { op: 'Softmax', attributes: { axis: -1 } }, ROWS),
  'layer-norm': operation(
    [ROWS, [1024], [1024]],
    { op: 'LayerNormalization', attributes: { axis: -1 } },
    ROWS,
  ),
  'conv3x3-forward': operation(
    [
      [8, 64, 56, 56],
      [64, 64, 3, 3],
    ],
    { op: 'Conv', attributes: windows(3, 1) },
    [8, 64, 56, 56],
  ),
  'conv7x7-forward': operation(
    [
      [8, 3, 224, 224],
      [64, 3, 7, 7],
    ],
    { op: 'Conv', attributes: windows(7, 2) },
    [8, 64, 112, 112],
  ),
  'attention-forward': operation(
    [HEADS, HEADS, HEADS],
    { op: 'MultiHeadAttention', domain: 'com.microsoft', attributes: { num_heads: 8 } },
    [1, 1024, 8 * 64],
  ),
};

/** Both providers as peers for the kernel benches. */
export function open(tools) {
  return ['webgpu', 'cpu'].map((provider) => ({
    name: nameOf(provider),
    work: Object.fromEntries(
      Object.entries(WORK).map(([id, prepare]) => [id, () => prepare(provider, tools)]),
    ),
  }));
}
