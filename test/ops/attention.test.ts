import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import {
  attention,
  attentionOp,
  packedAttention,
  packedAttentionOp,
} from '../../src/ops/attention.ts';
import { BiasIndex } from '../../src/ops/attention-bias.ts';
import type { AttentionLayout } from '../../src/ops/attention-call.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd, Random } from './nd.ts';
import { philoxUniform } from './philox.ts';
import { difference, type FuzzCase, proveOp, TUNINGS } from './prove.ts';

interface Json {
  scale?: number;
  layout?: AttentionLayout;
  heads?: number;
  keyMask?: number[];
  /** Windows, flat. */
  mask?: number[];
  index?: number[];
  headsFirst?: boolean;
  offsets?: number[];
  dropout?: { p: number; seed: [number, number]; offset: number };
}

/** The options of a call; the tables' sizes come from the index, whose pairs are square. */
function common(
  { mask, index, headsFirst, offsets, keyMask, scale, dropout }: Json,
  device: Device,
) {
  const square = index && Math.sqrt(index.length);
  const size = square ? { queries: square, keys: square, rows: Math.max(...index) + 1 } : null;
  const n = size?.queries ?? 0;
  return {
    ...(scale === undefined ? {} : { scale }),
    ...(keyMask ? { keyMask } : {}),
    ...(mask ? { mask: Tensor.from(device, mask, [mask.length / n / n, n, n]) } : {}),
    ...(index && size ? { biasIndex: new BiasIndex(device, index, size, headsFirst) } : {}),
    ...(offsets ? { segments: new Segments(device, offsets) } : {}),
    ...(dropout ? { dropout } : {}),
  };
}

interface Sides {
  batch: number;
  heads: number;
  queries: number;
  keys: number;
  width: number;
  valueWidth: number;
  q(b: number, h: number, i: number, d: number): number;
  k(b: number, h: number, j: number, d: number): number;
  v(b: number, h: number, j: number, d: number): number;
  put(b: number, h: number, i: number, d: number, value: number): void;
}

/** Attention in float64, one query after the other. */
function attend(sides: Sides, table: Nd | undefined, json: Json): void {
  const { batch, heads, queries, keys, width, valueWidth, q, k, v, put } = sides;
  const scale = json.scale ?? 1 / Math.sqrt(width);
  const quads = Math.ceil(keys / 4);
  const { dropout, offsets } = json;
  const uniforms =
    dropout && philoxUniform(dropout.seed, dropout.offset, batch * heads * queries * quads * 4);
  const bagOf = (row: number) => offsets?.findLastIndex((o) => o <= row) ?? 0;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < queries; i++) {
        const scores = Array.from({ length: keys }, (_, j) => {
          if (json.keyMask && json.keyMask[b * keys + j] === 0) return -Infinity;
          if (offsets && bagOf(i) !== bagOf(j)) return -Infinity;
          let score = 0;
          for (let d = 0; d < width; d++) score += scale * q(b, h, i, d) * k(b, h, j, d);
          const row = json.index?.[i * keys + j] ?? 0;
          if (table) {
            const at = json.headsFirst ? h * table.shape[1]! + row : row * heads + h;
            score += table.data[at]!;
          }
          if (json.mask) {
            const windows = json.mask.length / queries / keys;
            score += json.mask[((b % windows) * queries + i) * keys + j]!;
          }
          return score;
        });
        const most = Math.max(...scores);
        const weights = scores.map((s) => (s === -Infinity ? 0 : Math.exp(s - most)));
        const total = weights.reduce((sum, w) => sum + w, 0);
        for (let d = 0; d < valueWidth; d++) {
          let value = 0;
          for (let j = 0; j < keys; j++) {
            let weight = total > 0 ? weights[j]! / total : 0;
            if (dropout && uniforms) {
              const u = uniforms[((b * heads + h) * queries + i) * quads * 4 + j]!;
              weight *= u >= Math.fround(dropout.p) ? 1 / (1 - dropout.p) : 0;
            }
            value += weight * v(b, h, j, d);
          }
          put(b, h, i, d, value);
        }
      }
    }
  }
}

function reference([q, k, v, table]: readonly Nd[], json: Json): Nd {
  const layout = json.offsets ? 'bnhd' : (json.layout ?? 'bhnd');
  const [h, n] = layout === 'bhnd' ? [1, 2] : [2, 1];
  const full = (s: Shape) => (json.offsets ? [1, ...s] : s);
  const [qs, ks, vs] = [full(q!.shape), full(k!.shape), full(v!.shape)];
  const out = nd([...q!.shape.slice(0, -1), vs[3]!], () => 0);
  const reader = (x: Nd, s: Shape) => (b: number, head: number, row: number, d: number) =>
    x.data[at(s, b, head, row) * s[3]! + d]!;
  const at = (s: Shape, b: number, head: number, row: number) =>
    layout === 'bhnd' ? (b * s[1]! + head) * s[2]! + row : (b * s[1]! + row) * s[2]! + head;
  attend(
    {
      batch: qs[0]!,
      heads: qs[h]!,
      queries: qs[n]!,
      keys: ks[n]!,
      width: qs[3]!,
      valueWidth: vs[3]!,
      q: reader(q!, qs),
      k: reader(k!, ks),
      v: reader(v!, vs),
      put: (b, head, i, d, value) => {
        out.data[at(qs, b, head, i) * vs[3]! + d] = value;
      },
    },
    table,
    json,
  );
  return out;
}

function packedReference([qkv, table]: readonly Nd[], json: Json): Nd {
  const heads = json.heads ?? 1;
  const [batch, rows, three] = (json.offsets ? [1, ...qkv!.shape] : qkv!.shape) as [
    number,
    number,
    number,
  ];
  const width = three / 3 / heads;
  const out = nd([...qkv!.shape.slice(0, -1), three / 3], () => 0);
  const third = (t: number) => (b: number, h: number, i: number, d: number) =>
    qkv!.data[(b * rows + i) * three + (t * heads + h) * width + d]!;
  const sizes = { batch, heads, queries: rows, keys: rows, width, valueWidth: width };
  const put = (b: number, h: number, i: number, d: number, value: number) => {
    out.data[(b * rows + i) * heads * width + h * width + d] = value;
  };
  attend({ ...sizes, q: third(0), k: third(1), v: third(2), put }, table, json);
  return out;
}

const shapesOf = (b: number, h: number, n: number, m: number, d: number, dv = d) => [
  [b, h, n, d],
  [b, h, m, d],
  [b, h, m, dv],
];

const square = (n: number, rows: number) =>
  Array.from({ length: n * n }, (_, i) => (i < rows ? rows - 1 - i : (7 * i) % rows));

/** Compiles the pipelines that the proofs need: a CPU rasteriser takes seconds for each, and proofs have a minute. */
beforeAll(async () => {
  for (const { open } of TUNINGS) {
    const device = await open();
    for (const width of [8, 32, 96]) {
      const sides = [1, 2, 3].map(() => Parameter.of(Tensor.zeros(device, [1, 1, 1, width])));
      const [q, k, v] = sides as [Parameter, Parameter, Parameter];
      scope(() => {
        const y = attention(q, k, v);
        backwardFrom(y, Tensor.zeros(device, y.shape));
      });
      await device.sync();
      for (const side of sides) side.dispose();
    }
  }
}, 600_000);

// Few widths: each asks for pipelines of its own, which CPU rasterisers compile for seconds.
const cases: readonly FuzzCase<Json>[] = [
  { shapes: shapesOf(1, 1, 1, 1, 4), options: {} },
  { shapes: shapesOf(2, 3, 7, 7, 16), options: {} },
  { shapes: shapesOf(1, 3, 49, 49, 16), options: {} },
  { shapes: shapesOf(1, 1, 65, 197, 8), options: {} },
  { shapes: shapesOf(2, 1, 1, 300, 16), options: {} }, // one query: the keys are split on GPUs
  { shapes: shapesOf(1, 2, 9, 35, 3, 5), options: {} },
  { shapes: shapesOf(1, 1, 5, 37, 96), options: { scale: 0.05 } }, // several passes over the width
  { shapes: shapesOf(0, 2, 3, 4, 8), options: {} },
  { shapes: shapesOf(2, 2, 0, 4, 8), options: {} },
  { shapes: shapesOf(1, 2, 3, 0, 8), options: {} },
  {
    shapes: shapesOf(2, 2, 5, 7, 8),
    options: { keyMask: Array.from({ length: 14 }, (_, i) => (i % 7 < 3 ? 1 : 0)) },
  },
  {
    shapes: [...shapesOf(2, 3, 25, 25, 8), [3, 11]],
    options: { index: square(25, 11), headsFirst: true },
  },
  {
    shapes: [...shapesOf(3, 2, 35, 35, 8), [5, 2]],
    options: {
      index: square(35, 5),
      mask: Array.from({ length: 3 * 35 * 35 }, (_, i) => (i % 3) - 1),
    },
  },
  {
    shapes: shapesOf(2, 2, 33, 38, 8),
    options: { dropout: { p: 0.3, seed: [11, 5], offset: 2 } },
  },
  {
    shapes: [
      [70, 2, 8],
      [70, 2, 8],
      [70, 2, 8],
    ],
    options: { offsets: [0, 1, 1, 36, 70] },
  },
];

/** A matrix unit takes the weights, and the scores' gradients, as float16: 11 bits of each. */
const ROUNDED_WEIGHTS = 1e-3;

proveOp<Parameters<typeof attentionOp.apply>[1], Json>({
  op: attentionOp,
  options: (json, device) => ({
    ...common(json, device),
    ...(json.layout ? { layout: json.layout } : {}),
  }),
  cases,
  reference,
  matrixTolerance: ROUNDED_WEIGHTS,
});

proveOp<Parameters<typeof packedAttentionOp.apply>[1], Json>({
  op: packedAttentionOp,
  options: (json, device) => ({ ...common(json, device), heads: json.heads ?? 1 }),
  cases: [
    { shapes: [[1, 1, 12]], options: { heads: 1 } },
    { shapes: [[2, 49, 48]], options: { heads: 2 } },
    { shapes: [[1, 65, 45]], options: { heads: 3 } },
    { shapes: [[0, 3, 24]], options: { heads: 2 } },
    { shapes: [[40, 24]], options: { heads: 1, offsets: [0, 33, 33, 40] } },
  ],
  reference: packedReference,
  matrixTolerance: ROUNDED_WEIGHTS,
});

describe.each(TUNINGS)('attention, $tuning', ({ open }) => {
  it('does not overflow where scores are huge, and weighs the greatest alone', async () => {
    const device = await open();
    const q = Tensor.from(device, [1e4, 0, 0, 0, -1e4, 0, 0, 0], [1, 1, 2, 4]);
    const k = Tensor.from(device, [1e4, 0, 0, 0, -1e4, 0, 0, 0], [1, 1, 2, 4]);
    const v = Tensor.from(device, [1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 2, 4]);
    expect([...(await attention(q, k, v).floats())]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('keeps a NaN of a query within its row, and spreads that of a key over all', async () => {
    const device = await open();
    const random = new Random(4);
    const draw = (n: number) => Array.from({ length: n }, () => random.normal());
    const at = (values: number[], i: number) => values.with(i, Number.NaN);
    const [q, k, v] = [draw(320), draw(320), draw(320)];
    const run = async (a: number[], b: number[]) => {
      const [x, y, z] = [a, b, v].map((d) => Tensor.from(device, d, [1, 1, 40, 8]));
      return attention(x!, y!, z!).floats();
    };
    const ofQuery = await run(at(q, 8 * 3), k);
    expect(ofQuery.subarray(24, 32).every(Number.isNaN)).toBe(true);
    expect(ofQuery.filter(Number.isNaN).length).toBe(8);
    expect((await run(q, at(k, 8 * 37))).every(Number.isNaN)).toBe(true);
  });

  it('gives a query without any key zeros, and no gradient', async () => {
    const device = await open();
    const random = new Random(5);
    const make = () =>
      Parameter.of(
        Tensor.from(
          device,
          Float32Array.from({ length: 48 }, () => random.normal()),
          [2, 1, 3, 8],
        ),
      );
    const [q, k, v] = [make(), make(), make()];
    const counts = Tensor.from(device, [0, 0, 0, 1, 0, 1], [2, 3]);
    const out = scope(() => {
      const y = attention(q, k, v, { keyMask: counts });
      backwardFrom(y, Tensor.from(device, new Float32Array(48).fill(1), y.shape));
      return y;
    });
    for (const values of [out, q.grad!, k.grad!, v.grad!]) {
      const found = await values.floats();
      expect(found.subarray(0, 24).every((x) => x === 0)).toBe(true);
      expect(found.every(Number.isFinite)).toBe(true);
    }
    expect((await out.floats()).subarray(24).every((x) => x !== 0)).toBe(true);
  });
});

describe('attention', () => {
  const opened: Device[] = [];
  const open = async (options: Parameters<typeof Device.open>[0]) => {
    const device = await Device.open(options);
    opened.push(device);
    return device;
  };
  afterAll(() => {
    for (const device of opened) device.close();
  });

  /** Output and gradients, for the same values everywhere. */
  async function evaluate(device: Device, [b, h, n, d]: readonly [number, number, number, number]) {
    const random = new Random(9);
    const values = () => Float32Array.from({ length: b * h * n * d }, () => random.normal());
    const all = [0, 1, 2].map(() => Parameter.of(Tensor.from(device, values(), [b, h, n, d])));
    const table = Parameter.of(Tensor.from(device, values().subarray(0, 4 * h), [4, h]));
    const sizes = { queries: n, keys: n, rows: 4 };
    const biasIndex = b > 1 ? new BiasIndex(device, square(n, 4), sizes) : undefined;
    const dy = values();
    const [q, k, v] = all as [Parameter, Parameter, Parameter];
    const out = scope(() => {
      const y = attention(q, k, v, biasIndex ? { biasIndex } : {}, biasIndex ? table : null);
      backwardFrom(y, Tensor.from(device, dy, y.shape));
      return y;
    });
    const found = [await out.floats()];
    for (const { grad } of [...all, ...(biasIndex ? [table] : [])])
      found.push(await grad!.floats());
    biasIndex?.dispose();
    return { found, q: await q.floats(), k: await k.floats(), v: await v.floats() };
  }

  it('is the same where a binding holds only some of the batches', async () => {
    const shape = [24, 2, 16, 8] as const;
    const whole = await evaluate(await testDevice(), shape);
    const parts = await evaluate(await open({ bindingBytes: 16 * 1024 }), shape);
    whole.found.forEach((expected, i) => {
      // The table's gradient adds the parts up in another order.
      const allowance = { relative: i === 4 ? 1e-6 : 0, floor: 0 };
      expect(difference(parts.found[i]!, expected, allowance), `tensor ${i}`).toBeNull();
    });
  });

  it('takes memory for the tokens, not for their pairs', async () => {
    const [n, d] = [2049, 16];
    const device = await open({});
    const { found, q, k, v } = await evaluate(device, [1, 2, n, d]);
    // The scores alone would be more than 32 MiB, up to which they are kept on CPU rasterisers.
    expect(device.memory.peak).toBeLessThan(4 * 2 ** 20);
    for (const row of [0, 1024, 2 * n - 1]) {
      const head = Math.floor(row / n) * n;
      const weights = Array.from({ length: n }, (_, j) => {
        let score = 0;
        for (let c = 0; c < d; c++) score += q[row * d + c]! * k[(head + j) * d + c]!;
        return Math.exp(score / Math.sqrt(d));
      });
      const total = weights.reduce((sum, w) => sum + w, 0);
      const expected = Array.from({ length: d }, (_, c) =>
        weights.reduce((sum, w, j) => sum + (w / total) * v[(head + j) * d + c]!, 0),
      );
      const values = found[0]!.subarray(row * d, (row + 1) * d);
      expect(
        difference(values, expected, { relative: 1e-5, floor: 1e-6 }),
        `row ${row}`,
      ).toBeNull();
    }
  });

  it('says what does not fit', async () => {
    const device = await testDevice();
    const zeros = (...shape: number[]) => Tensor.zeros(device, shape);
    const [q, k] = [zeros(2, 3, 5, 8), zeros(2, 3, 7, 8)];
    await expectError(() => attention(q, k, q), 'shape', /attention: expected q \[B, H, Nq, dh\]/);
    const bnhd = { layout: 'bnhd' } as const;
    await expectError(() => attention(q, k, k, bnhd), 'shape', /expected q \[B, Nq, H, dh\]/);
    const counts = [1, 0];
    const mask = /a key mask of 2 · 7 entries, found 2/;
    await expectError(() => attention(q, k, k, { keyMask: counts }), 'shape', mask);
    const turned = /a key mask \[2, 7\], found \[7, 2\]/;
    await expectError(() => attention(q, k, k, { keyMask: zeros(7, 2) }), 'shape', turned);
    const whole = Tensor.from(device, new Uint32Array(14), [2, 7]);
    const dtype = /expected float32 masks, found u32/;
    await expectError(() => attention(q, k, k, { keyMask: whole }), 'dtype', dtype);
    const windows = /a mask \[W, 5, 7\], found \[2, 7, 5\]/;
    await expectError(() => attention(q, k, k, { mask: zeros(2, 7, 5) }), 'shape', windows);
    await expectError(
      () => attention(q, k, k, {}, q),
      'option',
      /table and its index come together/,
    );
    const biasIndex = new BiasIndex(device, square(5, 3), { queries: 5, keys: 5, rows: 3 });
    const table = /a bias table \[3, 3\] for 5 queries and 5 keys, found \[3, 3\] for 5 and 7/;
    await expectError(() => attention(q, k, k, { biasIndex }, zeros(3, 3)), 'shape', table);
    const draw = { p: 1, seed: [1, 2] as const, offset: 0 };
    await expectError(
      () => attention(q, k, k, { dropout: draw }),
      'option',
      /p must be in \[0, 1\)/,
    );
    await expectError(
      () => attention(q, k, k, { scale: Number.NaN }),
      'option',
      /scale must be finite/,
    );
    await expectError(
      () => packedAttention(zeros(2, 3, 10), { heads: 2 }),
      'shape',
      /expected \[B, N, 3 · 2 · dh\], found \[2, 3, 10\]/,
    );
    await expectError(
      () => new BiasIndex(device, [0, 1, 2, 3], { queries: 2, keys: 2, rows: 3 }),
      'index',
      /rows in 0 … 2, found row 3/,
    );
    const segments = new Segments(device, [0, 3]);
    const bags = { segments, mask: zeros(1, 3, 3) };
    const x = zeros(3, 1, 4);
    await expectError(() => attention(x, x, x, bags), 'option', /segments have no bias table/);
    await expectError(
      () => attention(k, k, k, { segments }),
      'shape',
      /expected q, k \[3, H, dh\]/,
    );
  });
});
