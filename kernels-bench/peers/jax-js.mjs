/** jax-js on its WebGPU backend: the same work by the ids of the benches. */
import { readFileSync } from 'node:fs';
import { ABMIL, MLP } from './step-shapes.mjs';

const VERSION = JSON.parse(
  readFileSync(new URL('../node_modules/@jax-js/jax/package.json', import.meta.url), 'utf8'),
).version;

/**
 * Results that may wait at a time. Freed before it was waited for, a result is never computed, and many at once would
 * take memory that nobody has touched yet.
 */
const WAITING = 4;

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;
const RATE = 1e-4;
const DECAY = 0.01;

export async function open({ numbers, summary }) {
  const jax = await import('@jax-js/jax');
  const { defaultDevice, init, jit, nn, numpy: np, random, tree, vjp, valueAndGrad } = jax;
  await init('webgpu');
  defaultDevice('webgpu');
  const input = (shape, seed) => np.array(numbers(shape, seed)).reshape(shape);

  /** Calls `next` so many times; waits for its results in turns, behind those that it has begun meanwhile. */
  async function inTurns(times, next) {
    const waiting = [];
    const finish = async () => {
      const { result, ready } = waiting.shift();
      await ready;
      tree.dispose(result);
    };
    for (let i = 0; i < times; i++) {
      const result = next();
      waiting.push({ result, ready: jax.blockUntilReady(result) });
      if (waiting.length >= WAITING) await finish();
    }
    while (waiting.length > 0) await finish();
  }

  /** jax-js owns by move: every use of an input but its last takes a new reference. */
  const operation = (shapes, work) => () => {
    const inputs = shapes.map((shape, i) => input(shape, i + 1));
    const compiled = jit(work);
    const next = () => compiled(...inputs.map((x) => x.ref));
    return {
      run: (times) => inTurns(times, next),
      summaries: () => Promise.all(tree.leaves(next()).map(async (y) => summary(await y.data()))),
      dispose: () => tree.dispose(inputs),
    };
  };

  /** The result, and the gradients of all inputs but the last, which is the gradient of the result. */
  const both = (shapes, work) =>
    operation(shapes, (...inputs) => {
      const dy = inputs.pop();
      const [y, backward] = vjp(work, inputs);
      return [y, ...backward(dy)];
    });

  /** The gradients alone: the compiler leaves out the result, which they do not need. */
  const gradients = (shapes, work) =>
    operation(shapes, (...inputs) => {
      const dy = inputs.pop();
      const [y, backward] = vjp(work, inputs);
      y.dispose();
      return backward(dy);
    });

  /** A training step with AdamW, compiled as a whole. */
  const training = (shapes, dataShapes, loss) => () => {
    const data = dataShapes.map((shape, i) => input(shape, 100 + i));
    const zeros = () => shapes.map((shape) => np.zeros(shape));
    const first = () => ({
      p: shapes.map((shape, i) => input(shape, i + 1).mul(0.05)),
      m: zeros(),
      v: zeros(),
      left1: np.array(1),
      left2: np.array(1),
      seed: np.array(1, { dtype: np.uint32 }),
    });
    const compile = (rate) =>
      jit(({ p, m, v, seed, ...state }, ...inputs) => {
        const keys = random.split(random.key(seed.ref), 3);
        const drop = (x, i) => {
          if (rate === 0) return x;
          const kept = random.bernoulli(keys.ref.slice(i), 1 - rate, x.shape);
          return np.where(kept, x.div(1 - rate), 0);
        };
        const [value, gradients] = valueAndGrad((parameters) => loss(parameters, inputs, drop))(
          p.map((x) => x.ref),
        );
        const left1 = state.left1.mul(BETA1);
        const left2 = state.left2.mul(BETA2);
        const rate1 = np.array(RATE).div(np.array(1).sub(left1.ref));
        const scale2 = np.sqrt(np.array(1).sub(left2.ref));
        const next = { p: [], m: [], v: [], left1, left2, seed: seed.add(1) };
        for (const [i, g] of gradients.entries()) {
          const mean = m[i].mul(BETA1).add(g.ref.mul(1 - BETA1));
          const square = v[i].mul(BETA2).add(g.ref.mul(g).mul(1 - BETA2));
          const width = np.sqrt(square.ref).div(scale2.ref).add(EPSILON);
          const change = mean.ref.mul(rate1.ref).div(width);
          next.p.push(p[i].mul(1 - RATE * DECAY).sub(change));
          next.m.push(mean);
          next.v.push(square);
        }
        return [next, value];
      });
    let state = first();
    const stepping = (compiled) => () => {
      const [next, value] = compiled(state, ...data.map((x) => x.ref));
      state = next;
      return value;
    };
    const next = stepping(compile(0.25));
    return {
      run: (times) => inTurns(times, next),
      async summaries() {
        const plain = stepping(compile(0));
        tree.dispose(state);
        state = first();
        const losses = [await plain().data(), await plain().data()];
        return [losses.flatMap((loss) => [...loss])];
      },
      dispose: () => tree.dispose([state, data]),
    };
  };

  const ROWS = [4096, 1024];
  const HEADS = [8, 1024, 64];
  const [images, taps] = [
    [8, 64, 56, 56],
    [64, 64, 3, 3],
  ];
  const product = (a, b) => np.matmul(a, b);
  const transposed = (x) => np.matrixTranspose(x);
  const conv = (stride, pad) => (x, w) =>
    jax.lax.convGeneralDilated(
      x,
      w,
      [stride, stride],
      [
        [pad, pad],
        [pad, pad],
      ],
    );
  const attention = (q, k, v) => np.matmul(nn.softmax(np.matmul(q, transposed(k)).mul(0.125)), v);
  const layerNorm = (x, weight, bias) => nn.standardize(x, -1).mul(weight).add(bias);
  const linear = (x, w, b) => np.matmul(x, w).add(b);
  const mse = (y, targets) => np.mean(np.square(y.sub(targets)));

  return {
    name: `jax-js ${VERSION}`,
    work: {
      'matmul-1024': operation(
        [
          [1024, 1024],
          [1024, 1024],
        ],
        product,
      ),
      'matmul-4096': operation(
        [
          [4096, 1024],
          [1024, 512],
        ],
        product,
      ),
      'head-forward': operation(
        [
          [16, 1024],
          [20530, 1024],
        ],
        (x, w) => np.matmul(x, transposed(w)),
      ),
      'head-dx': operation(
        [
          [16, 20530],
          [20530, 1024],
        ],
        product,
      ),
      'head-dw': operation(
        [
          [16, 20530],
          [16, 1024],
        ],
        (dy, x) => np.matmul(transposed(dy), x),
      ),
      add: operation([[2 ** 24], [2 ** 24]], (a, b) => a.add(b)),
      sum: operation([[2 ** 24]], (x) => np.sum(x)),
      gelu: operation([ROWS], (x) => nn.gelu(x, { approximate: false })),
      softmax: operation([ROWS], (x) => nn.softmax(x)),
      'layer-norm': operation([ROWS, [1024], [1024]], layerNorm),
      'layer-norm-both': both([ROWS, [1024], [1024], ROWS], layerNorm),
      'attention-forward': operation([HEADS, HEADS, HEADS], attention),
      'attention-both': both([HEADS, HEADS, HEADS, HEADS], attention),
      'conv3x3-forward': operation([images, taps], conv(1, 1)),
      'conv3x3-gradients': gradients([images, taps, images], conv(1, 1)),
      'conv7x7-forward': operation(
        [
          [8, 3, 224, 224],
          [64, 3, 7, 7],
        ],
        conv(2, 3),
      ),
      'mlp-step': training(MLP.parameters, MLP.inputs, ([w1, b1, w2, b2], [x, y]) =>
        mse(linear(nn.relu(linear(x, w1, b1)), w2, b2), y),
      ),
      'abmil-step': training(
        ABMIL.parameters,
        ABMIL.inputs,
        ([we, be, wv, bv, wu, bu, ww, bw, wh, bh], [x, y], drop) => {
          const h = drop(nn.relu(linear(x, we, be)), 0);
          const value = drop(np.tanh(linear(h.ref, wv, bv)), 1);
          const gate = drop(nn.sigmoid(linear(h.ref, wu, bu)), 2);
          const weights = nn.softmax(transposed(linear(value.mul(gate), ww, bw)));
          return mse(linear(np.matmul(weights, h), wh, bh), y);
        },
      ),
    },
  };
}
