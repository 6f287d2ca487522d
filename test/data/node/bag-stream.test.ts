import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BagStreamOptions, streamBags } from '../../../src/data/node/bag-stream.ts';
import type { PackedBags } from '../../../src/data/packed-bags.ts';
import { serializeSafetensors } from '../../../src/data/safetensors.ts';
import { expectError } from '../expect-error.ts';

const WIDTH = 2;
const slide = (index: number, rows: number) => ({
  id: `s${index}`,
  patient: `s${index}`,
  path: `s${index}.h5`,
  rows,
  width: WIDTH,
});
const slides = [3, 1, 4, 1, 5, 9, 2, 6].map((rows, i) => slide(i, rows));

/** Slide i, row r holds (i, r). */
async function fakeRead({ id, rows, width }: (typeof slides)[number]) {
  const index = Number(id.slice(1));
  const features = Float32Array.from({ length: rows * width }, (_, i) =>
    i % 2 === 0 ? index : (i - 1) / 2,
  );
  return { features, rows, width };
}

async function collect(order: number[][], options: BagStreamOptions = {}): Promise<PackedBags[]> {
  const batches: PackedBags[] = [];
  for await (const batch of streamBags(slides, order, { read: fakeRead, ...options })) {
    batches.push(batch);
  }
  return batches;
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('streamBags', () => {
  it('packs bags in order, with offsets', async () => {
    const [first, second] = await collect([[2, 0], [1]]);
    expect(first?.indices).toEqual([2, 0]);
    expect([...(first?.offsets ?? [])]).toEqual([0, 4, 7]);
    expect([...(first?.features ?? [])]).toEqual([2, 0, 2, 1, 2, 2, 2, 3, 0, 0, 0, 1, 0, 2]);
    expect([...(second?.features ?? [])]).toEqual([1, 0]);
    expect(await collect([])).toEqual([]);
  });

  it('reads files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'histograd-stream-'));
    try {
      const path = join(folder, 'a.safetensors');
      const features = { shape: [1, 2], data: Float32Array.of(8, 9) };
      writeFileSync(path, serializeSafetensors({ features }));
      const stream = streamBags([{ ...slide(0, 1), path }], [[0]]);
      for await (const batch of stream) expect([...batch.features]).toEqual([8, 9]);
      rmSync(path);
      const gone = streamBags([{ ...slide(0, 1), path }], [[0]]);
      await expectError(() => gone.next(), 'no-file', /a\.safetensors/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([1, 2, 5])(
    'has at most prefetch + 1 batches in memory (prefetch %i), and reads ahead',
    async (prefetch) => {
      const order = Array.from({ length: 20 }, (_, i) => [i % 8, (i + 3) % 8]);
      let begun = 0;
      let given = 0;
      const read = (bag: (typeof slides)[number]) => {
        begun += 0.5;
        return fakeRead(bag);
      };
      const seen: number[] = [];
      for await (const _ of streamBags(slides, order, { read, prefetch })) {
        given++;
        await settle();
        seen.push(begun - given + 1);
      }
      expect(Math.max(...seen)).toBe(prefetch + 1);
      expect(begun).toBe(20);
    },
  );

  it('takes the order lazily, and stops reading when the consumer does', async () => {
    let taken = 0;
    function* endless() {
      for (;;) yield [taken++ % 8];
    }
    for await (const _ of streamBags(slides, endless(), { read: fakeRead })) {
      if (taken >= 6) break;
    }
    const after = taken;
    await settle();
    expect(taken).toBe(after);
    expect(after).toBe(6);
  });

  it('fails at the batch whose bag cannot be read, after the ones before it', async () => {
    const read = async (bag: (typeof slides)[number]) => {
      if (bag.id === 's3') throw new Error('disk on fire');
      return fakeRead(bag);
    };
    const stream = streamBags(slides, [[0], [1], [3], [4]], { read, prefetch: 3 });
    expect((await stream.next()).value?.indices).toEqual([0]);
    expect((await stream.next()).value?.indices).toEqual([1]);
    await expect(stream.next()).rejects.toThrow('disk on fire');
    expect((await stream.next()).done).toBe(true);
  });

  it('notices files that changed since the cohort was loaded', async () => {
    const read = async () => ({ features: new Float32Array(4), rows: 2, width: 2 });
    await expectError(
      () => collect([[0]], { read }),
      'features-changed',
      /s0\.h5 .*\[2, 2\]; \[3, 2\]/,
    );
  });

  it('refuses batches and options that make no sense', async () => {
    await expectError(() => collect([[]]), 'bad-batch', /empty/);
    await expectError(() => collect([[8]]), 'bad-batch', /8 is not one of the 8 slides/);
    await expectError(() => collect([[0]], { prefetch: 0 }), 'bad-batch', /prefetch is 0/);
    await expectError(() => collect([[0]], { maxPatches: 1.5 }), 'bad-batch', /maxPatches is 1\.5/);
  });
});

describe('sub-sampling', () => {
  const rowsOf = async (index: number, order: number[][], options: BagStreamOptions) => {
    for (const { indices, offsets, features } of await collect(order, options)) {
      const b = indices.indexOf(index);
      if (b < 0) continue;
      const bag = features.subarray((offsets[b] ?? 0) * WIDTH, (offsets[b + 1] ?? 0) * WIDTH);
      return Array.from({ length: bag.length / WIDTH }, (_, i) => bag[i * WIDTH + 1]);
    }
    return [];
  };

  it('draws distinct rows, and keeps small bags whole', async () => {
    const [batch] = await collect([[5, 6]], { maxPatches: 4 });
    expect([...(batch?.offsets ?? [])]).toEqual([0, 4, 6]);
    const rows = await rowsOf(5, [[5]], { maxPatches: 4 });
    expect(new Set(rows).size).toBe(4);
  });

  it('depends on seed, epoch and slide only: not on the batch, its place, or what was read before', async () => {
    const options = { maxPatches: 4, sampleSeed: 3, epoch: 2 };
    const rows = await rowsOf(5, [[5]], options);
    expect(await rowsOf(5, [[0], [7, 5], [1]], options)).toEqual(rows);
    const others = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((epoch) => rowsOf(5, [[5]], { ...options, epoch: 10 + epoch })),
    );
    expect(new Set(others.map(String)).size).toBeGreaterThan(3);
    const seeds = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((sampleSeed) =>
        rowsOf(5, [[5]], { ...options, sampleSeed: 10 + sampleSeed }),
      ),
    );
    expect(new Set(seeds.map(String)).size).toBeGreaterThan(3);
  });
});
