/** TensorFlow.js on its WebGPU backend: the same work by the ids of the benches. */
import { readFileSync } from 'node:fs';

export async function open() {
  const { default: tf } = await import('@tensorflow/tfjs');
  await import('@tensorflow/tfjs-backend-webgpu');
  await tf.setBackend('webgpu');
  await tf.ready();
  const random = (shape) => tf.keep(tf.randomNormal(shape));
  // Reading a result that was computed last waits for all before it.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  const zero = tf.keep(tf.zeros([1]));
  const wait = async () => {
    const last = tf.add(zero, zero);
    await last.data();
    last.dispose();
  };

  /** Inputs made once; `work` gives a tensor or several, which are freed. */
  const operation = (shapes, work) => () => {
    const inputs = shapes.map(random);
    return {
      async run(times) {
        for (let i = 0; i < times; i++) tf.dispose(tf.tidy(() => work(...inputs)));
        await wait();
      },
      dispose: () => tf.dispose(inputs),
    };
  };

  /** A training step on variables. */
  const training = (shapes, dataShapes, loss) => () => {
    const variables = shapes.map((shape) => tf.variable(tf.randomNormal(shape, 0, 0.05)));
    const data = dataShapes.map(random);
    const optimizer = tf.train.adam(1e-4);
    return {
      async run(times) {
        for (let i = 0; i < times; i++) optimizer.minimize(() => loss(variables, data));
        await wait();
      },
      dispose: () => {
        tf.dispose([variables, data]);
        optimizer.dispose();
      },
    };
  };

  const ROWS = [4096, 1024];
  const gradients = (f, dy) => (inputs) => tf.grads(f)(inputs, dy);
  const attention = (q, k, v) =>
    tf.matMul(tf.softmax(tf.mul(tf.matMul(q, k, false, true), 0.125)), v);
  const layerNorm = (x, weight, bias) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return x.sub(mean).div(variance.add(1e-5).sqrt()).mul(weight).add(bias);
  };
  const [images, taps] = [
    [8, 56, 56, 64],
    [3, 3, 64, 64],
  ];
  const conv = (stride, padding) => (x, w) => tf.conv2d(x, w, stride, padding);

  return {
    name: `tfjs ${JSON.parse(readFileSync(new URL('../node_modules/@tensorflow/tfjs/package.json', import.meta.url), 'utf8')).version}`,
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
      'layer-norm-both': operation([ROWS, [1024], [1024], ROWS], (x, w, b, dy) =>
        gradients(layerNorm, dy)([x, w, b]),
      ),
      'conv3x3-forward': operation([images, taps], conv(1, 'same')),
      'conv3x3-both': operation([images, taps, images], (x, w, dy) => {
        const { value, grads } = tf.valueAndGrads(conv(1, 'same'))([x, w], dy);
        return [value, ...grads];
      }),
      'conv7x7-forward': operation(
        [
          [8, 224, 224, 3],
          [7, 7, 3, 64],
        ],
        conv(2, 'same'),
      ),
      'attention-forward': operation(
        [
          [8, 1024, 64],
          [8, 1024, 64],
          [8, 1024, 64],
        ],
        attention,
      ),
      'attention-both': operation(
        [
          [8, 1024, 64],
          [8, 1024, 64],
          [8, 1024, 64],
          [8, 1024, 64],
        ],
        (q, k, v, dy) => gradients(attention, dy)([q, k, v]),
      ),
      'mlp-step': training(
        [[1024, 512], [512], [512, 4927], [4927]],
        [
          [128, 1024],
          [128, 4927],
        ],
        ([w1, b1, w2, b2], [x, y]) =>
          tf.losses.meanSquaredError(y, tf.relu(tf.matMul(x, w1).add(b1)).matMul(w2).add(b2)),
      ),
      'abmil-step': training(
        [
          [1024, 512],
          [512],
          [512, 256],
          [256],
          [512, 256],
          [256],
          [256, 1],
          [1],
          [512, 20530],
          [20530],
        ],
        [
          [4096, 1024],
          [1, 20530],
        ],
        ([we, be, wv, bv, wu, bu, ww, bw, wh, bh], [x, y]) => {
          const h = tf.dropout(tf.relu(tf.matMul(x, we).add(be)), 0.25);
          const value = tf.dropout(tf.tanh(tf.matMul(h, wv).add(bv)), 0.25);
          const gate = tf.dropout(tf.sigmoid(tf.matMul(h, wu).add(bu)), 0.25);
          const scores = tf.matMul(value.mul(gate), ww).add(bw);
          const pooled = tf.matMul(tf.softmax(scores.transpose()), h);
          return tf.losses.meanSquaredError(y, tf.matMul(pooled, wh).add(bh));
        },
      ),
    },
  };
}
