/** TensorFlow.js on its WebGPU backend: the same work by the ids of the benches. */
import { readFileSync } from 'node:fs';
import { ABMIL, MLP } from './step-shapes.mjs';

const VERSION = JSON.parse(
  readFileSync(new URL('../node_modules/@tensorflow/tfjs/package.json', import.meta.url), 'utf8'),
).version;

export async function open({ numbers, summary }) {
  const { default: tf } = await import('@tensorflow/tfjs');
  await import('@tensorflow/tfjs-backend-webgpu');
  await tf.setBackend('webgpu');
  await tf.ready();
  /** `order` brings it from our layout, channels first, into that of tfjs. */
  const input = ({ shape, order }, seed) =>
    tf.tidy(() => {
      const x = tf.tensor(numbers(shape, seed), shape);
      return tf.keep(order ? tf.transpose(x, order) : x);
    });
  const described = (shape) => (Array.isArray(shape) ? { shape } : shape);

  // Reading a result that was computed last waits for all before it. Numbers that are still in memory tfjs adds there:
  // this one comes from the GPU.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  const zero = tf.keep(tf.add(tf.zeros([1]), 0));
  tf.env().set('WEBGPU_CPU_FORWARD', true);
  const wait = async () => {
    const last = tf.add(zero, zero);
    await last.data();
    last.dispose();
  };

  /** Inputs made once; `work` gives a tensor or several, which are freed. */
  const operation = (shapes, work) => () => {
    const inputs = shapes.map((shape, i) => input(described(shape), i + 1));
    return {
      async run(times) {
        for (let i = 0; i < times; i++) tf.dispose(tf.tidy(() => work(...inputs)));
        await wait();
      },
      async summaries() {
        const results = [tf.tidy(() => work(...inputs))].flat();
        const summaries = results.map(async (y) => summary(await y.data()));
        return Promise.all(summaries).finally(() => tf.dispose(results));
      },
      dispose: () => tf.dispose(inputs),
    };
  };

  /** The result, and the gradients of all inputs but the last, which is the gradient of the result. */
  const both = (shapes, work) =>
    operation(shapes, (...inputs) => {
      const dy = inputs.pop();
      const { value, grads } = tf.valueAndGrads(work)(inputs, dy);
      return [value, ...grads];
    });

  const adam = () => tf.train.adam(1e-4, 0.9, 0.999, 1e-8);
  /** A training step on variables; tfjs has Adam, and no AdamW. */
  const training = (shapes, dataShapes, loss) => () => {
    const first = shapes.map((shape, i) => tf.tidy(() => input({ shape }, i + 1).mul(0.05)));
    const variables = first.map((value) => tf.variable(value));
    const data = dataShapes.map((shape, i) => input({ shape }, 100 + i));
    let optimizer = adam();
    return {
      async run(times) {
        for (let i = 0; i < times; i++) {
          optimizer.minimize(() => loss(variables, data, (x) => tf.dropout(x, 0.25)));
        }
        await wait();
      },
      async summaries() {
        for (const [i, variable] of variables.entries()) variable.assign(first[i]);
        optimizer.dispose();
        optimizer = adam();
        const plain = () => optimizer.minimize(() => loss(variables, data, (x) => x), true);
        return [[...(await plain().data()), ...(await plain().data())]];
      },
      dispose: () => {
        tf.dispose([first, variables, data]);
        optimizer.dispose();
      },
    };
  };

  const ROWS = [4096, 1024];
  const HEADS = [8, 1024, 64];
  const attention = (q, k, v) =>
    tf.matMul(tf.softmax(tf.mul(tf.matMul(q, k, false, true), 0.125)), v);
  const layerNorm = (x, weight, bias) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return x.sub(mean).div(variance.add(1e-5).sqrt()).mul(weight).add(bias);
  };
  const images = (...shape) => ({ shape, order: [0, 2, 3, 1] });
  const taps = (...shape) => ({ shape, order: [2, 3, 1, 0] });
  const middle = images(8, 64, 56, 56);
  const conv = (stride, padding) => (x, w) => tf.conv2d(x, w, stride, padding);
  // By its kernels: `tf.grads` would do the forward pass as well.
  const convGradients = (strides, pad) => (x, filter, dy) => {
    const options = { strides, pad, dataFormat: 'NHWC' };
    return [
      tf
        .engine()
        .runKernel('Conv2DBackpropInput', { dy, filter }, { ...options, inputShape: x.shape }),
      tf
        .engine()
        .runKernel('Conv2DBackpropFilter', { x, dy }, { ...options, filterShape: filter.shape }),
    ];
  };

  return {
    name: `tfjs ${VERSION}`,
    work: {
      'matmul-1024': operation(
        [
          [1024, 1024],
          [1024, 1024],
        ],
        (a, b) => tf.matMul(a, b),
      ),
      'matmul-4096': operation(
        [
          [4096, 1024],
          [1024, 512],
        ],
        (a, b) => tf.matMul(a, b),
      ),
      'head-forward': operation(
        [
          [16, 1024],
          [20530, 1024],
        ],
        (x, w) => tf.matMul(x, w, false, true),
      ),
      'head-dx': operation(
        [
          [16, 20530],
          [20530, 1024],
        ],
        (dy, w) => tf.matMul(dy, w),
      ),
      'head-dw': operation(
        [
          [16, 20530],
          [16, 1024],
        ],
        (dy, x) => tf.matMul(dy, x, true, false),
      ),
      add: operation([[2 ** 24], [2 ** 24]], (a, b) => tf.add(a, b)),
      sum: operation([[2 ** 24]], (x) => tf.sum(x)),
      gelu: operation([ROWS], (x) => x.mul(x.mul(Math.SQRT1_2).erf().add(1)).mul(0.5)),
      softmax: operation([ROWS], (x) => tf.softmax(x)),
      'layer-norm': operation([ROWS, [1024], [1024]], layerNorm),
      'layer-norm-both': both([ROWS, [1024], [1024], ROWS], layerNorm),
      'conv3x3-forward': operation([middle, taps(64, 64, 3, 3)], conv(1, 1)),
      'conv3x3-gradients': operation([middle, taps(64, 64, 3, 3), middle], convGradients(1, 1)),
      'conv7x7-forward': operation([images(8, 3, 224, 224), taps(64, 3, 7, 7)], conv(2, 3)),
      'attention-forward': operation([HEADS, HEADS, HEADS], attention),
      'attention-both': both([HEADS, HEADS, HEADS, HEADS], attention),
      'mlp-step': training(MLP.parameters, MLP.inputs, ([w1, b1, w2, b2], [x, y]) =>
        tf.losses.meanSquaredError(y, tf.relu(tf.matMul(x, w1).add(b1)).matMul(w2).add(b2)),
      ),
      'abmil-step': training(
        ABMIL.parameters,
        ABMIL.inputs,
        ([we, be, wv, bv, wu, bu, ww, bw, wh, bh], [x, y], drop) => {
          const h = drop(tf.relu(tf.matMul(x, we).add(be)));
          const value = drop(tf.tanh(tf.matMul(h, wv).add(bv)));
          const gate = drop(tf.sigmoid(tf.matMul(h, wu).add(bu)));
          const scores = tf.matMul(value.mul(gate), ww).add(bw);
          const pooled = tf.matMul(tf.softmax(scores.transpose()), h);
          return tf.losses.meanSquaredError(y, tf.matMul(pooled, wh).add(bh));
        },
      ),
    },
  };
}
