/** jax-js on its WebGPU backend: the same work by the ids of the benches. */
import { readFileSync } from 'node:fs';

export async function open() {
  const jax = await import('@jax-js/jax');
  const { defaultDevice, init, jit, nn, numpy: np, random, blockUntilReady } = jax;
  await init('webgpu');
  defaultDevice('webgpu');
  let seed = 0;
  const normal = (shape) => random.normal(random.key(seed++), shape);

  /** jax-js owns by move: every use of an input takes a new reference. */
  const operation = (shapes, work) => () => {
    const inputs = shapes.map(normal);
    const compiled = jit(work);
    return {
      async run(times) {
        // Freed before it was waited for, a result is never computed.
        for (let i = 0; i < times; i++) {
          const result = compiled(...inputs.map((x) => x.ref));
          await blockUntilReady(result);
          result.dispose();
        }
      },
      dispose: () => {
        for (const x of inputs) x.dispose();
      },
    };
  };

  const ROWS = [4096, 1024];
  return {
    name: `jax-js ${JSON.parse(readFileSync(new URL('../node_modules/@jax-js/jax/package.json', import.meta.url), 'utf8')).version}`,
    work: {
      'matmul-1024': operation(
        [
          [1024, 1024],
          [1024, 1024],
        ],
        (a, b) => np.matmul(a, b),
      ),
      'matmul-4096': operation(
        [
          [4096, 1024],
          [1024, 512],
        ],
        (a, b) => np.matmul(a, b),
      ),
      'head-forward': operation(
        [
          [16, 1024],
          [20530, 1024],
        ],
        (x, w) => np.matmul(x, w.transpose()),
      ),
      'head-dx': operation(
        [
          [16, 20530],
          [20530, 1024],
        ],
        (dy, w) => np.matmul(dy, w),
      ),
      'head-dw': operation(
        [
          [16, 20530],
          [16, 1024],
        ],
        (dy, x) => np.matmul(dy.transpose(), x),
      ),
      add: operation([[2 ** 24], [2 ** 24]], (a, b) => a.add(b)),
      sum: operation([[2 ** 24]], (x) => np.sum(x)),
      gelu: operation([ROWS], (x) => nn.gelu(x, { approximate: false })),
      softmax: operation([ROWS], (x) => nn.softmax(x)),
      'attention-forward': operation(
        [
          [8, 1024, 64],
          [8, 1024, 64],
          [8, 1024, 64],
        ],
        (q, k, v) => np.matmul(nn.softmax(np.matmul(q, k.transpose([0, 2, 1])).mul(0.125)), v),
      ),
      'conv3x3-forward': operation(
        [
          [8, 64, 56, 56],
          [64, 64, 3, 3],
        ],
        (x, w) => jax.lax.convGeneralDilated(x, w, [1, 1], 'SAME'),
      ),
    },
  };
}
