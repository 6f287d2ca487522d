/** The pool's own rules, on a GPU that is not there: what it makes, keeps, destroys and refuses. */
import { describe, expect, it } from 'vitest';
import type { HistogradError } from '../../src/errors.ts';
import { BufferPool, sizeClass } from '../../src/gpu/buffer-pool.ts';

const MIB = 2 ** 20;

function fakeGpu() {
  const destroyed: number[] = [];
  let full = false;
  const gpu = {
    limits: { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 128 * MIB },
    pushErrorScope() {},
    popErrorScope: async () => (full ? { message: 'out of memory' } : null),
    createBuffer: ({ size }: { size: number }) => ({ destroy: () => void destroyed.push(size) }),
  };
  globalThis.GPUBufferUsage ??= { STORAGE: 1, COPY_SRC: 2, COPY_DST: 4 } as typeof GPUBufferUsage;
  const errors: HistogradError[] = [];
  const forgotten: number[] = [];
  const pool = new BufferPool(
    gpu as unknown as GPUDevice,
    (error) => void errors.push(error),
    ({ id }) => void forgotten.push(id),
  );
  const fill = () => {
    full = true;
  };
  return { pool, destroyed, errors, forgotten, fill };
}

describe('sizeClass', () => {
  it('rounds up to eighths of a power of two, wasting less than an eighth', () => {
    expect([1, 256, 257, 1000, 4097].map(sizeClass)).toEqual([256, 256, 512, 1024, 4608]);
    for (let bytes = 4096; bytes < 2 ** 22; bytes = Math.ceil(bytes * 1.07)) {
      const size = sizeClass(bytes);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size / bytes).toBeLessThan(1.13);
      expect(size % 256).toBe(0);
    }
  });
});

describe('the pool', () => {
  it('hands out the free buffer that was made first', () => {
    const { pool } = fakeGpu();
    const [a, b, c] = [pool.acquire(100, 'a'), pool.acquire(100, 'b'), pool.acquire(100, 'c')];
    for (const buffer of [b, c, a]) pool.release(buffer);
    expect([1, 2, 3].map(() => pool.acquire(100, 'again').id)).toEqual([a.id, b.id, c.id]);
  });

  it('gives an upload no buffer that the recording has used', () => {
    const { pool } = fakeGpu();
    const used = pool.acquire(100, 'used');
    used.lastRecording = 7;
    pool.release(used);
    expect(pool.acquire(100, 'upload', 7).id).not.toBe(used.id);
    expect(pool.acquire(100, 'upload', 8).id).toBe(used.id);
  });

  it('holds 256 MiB more than was live at the peak, and destroys the rest after the submission', () => {
    const { pool, destroyed, forgotten } = fakeGpu();
    for (let i = 0; i < 80; i++) pool.release(pool.acquire((40 + i) * MIB, 'odd size'));
    const { live, pooled, peak } = pool.use;
    expect(live).toBe(0);
    expect(pooled).toBeLessThanOrEqual(256 * MIB + peak);
    expect(pooled).toBeGreaterThan(256 * MIB);
    expect(destroyed).toEqual([]);
    pool.afterSubmit();
    expect(destroyed.length).toBeGreaterThan(5);
    expect(forgotten.length).toBe(destroyed.length);
  });

  it('destroys what was given back longest ago', () => {
    const { pool, destroyed } = fakeGpu();
    const [a, b, c] = [160, 128, 192].map((size) => pool.acquire(size * MIB, 'odd size'));
    pool.acquire(512 * MIB, 'the peak');
    for (const buffer of [b!, c!, a!]) pool.release(buffer);
    pool.acquire(480 * MIB, 'as much as was given back'); // 256 MiB more may be held
    pool.release(pool.acquire(256, 'small'));
    pool.afterSubmit();
    expect(destroyed).toEqual([b, c].map((buffer) => buffer!.bytes));
  });

  it('gives a buffer up to twice as large where a new one would cost a pooled one', () => {
    const { pool } = fakeGpu();
    const [large, middle] = [pool.acquire(176 * MIB, 'large'), pool.acquire(96 * MIB, 'middle')];
    pool.release(large);
    pool.release(middle);
    pool.acquire(320 * MIB, 'more than both'); // live is at its peak: 256 MiB may be held, and 272 are
    const first = pool.acquire(72 * MIB, 'the smallest that does');
    expect(first.id).toBe(middle.id);
    expect(pool.use).toMatchObject({ live: 416 * MIB, pooled: 176 * MIB });
    const second = pool.acquire(112 * MIB, 'there is room for a new one');
    expect(second.id).not.toBe(large.id);
  });

  it('gives none that is more than twice as large', () => {
    const { pool } = fakeGpu();
    const large = pool.acquire(320 * MIB, 'large');
    pool.release(large);
    pool.acquire(512 * MIB, 'more than that');
    expect(pool.acquire(144 * MIB, 'small').id).not.toBe(large.id);
  });

  it('gives a step being captured no larger one, since it keeps what it takes', () => {
    const { pool } = fakeGpu();
    const many = Array.from({ length: 20 }, () => pool.acquire(14 * MIB, 'before'));
    for (const buffer of many) pool.release(buffer);
    pool.acquire(320 * MIB, 'more than all');
    const { reserved } = pool.reserve(() => {
      for (let i = 0; i < 10; i++) pool.release(pool.acquire(8 * MIB, 'in the step'));
    });
    expect(reserved.map(({ bytes }) => bytes)).toEqual([8 * MIB]);
  });

  it('says how much was asked, live and pooled when memory runs out, and does not reuse what failed', async () => {
    const { pool, errors, fill } = fakeGpu();
    pool.acquire(3 * MIB, 'model');
    pool.release(pool.acquire(MIB, 'activation'));
    fill();
    const failed = pool.acquire(100 * MIB, 'big matmul');
    await Promise.resolve();
    await Promise.resolve();
    expect(errors[0]?.code).toBe('out-of-memory');
    expect(errors[0]?.message).toMatch(
      /big matmul.*104\.0 MiB asked, 3\.0 MiB live, 1\.0 MiB pooled/,
    );
    expect(pool.use.pooled).toBe(0);
    pool.release(failed);
    expect(pool.acquire(100 * MIB, 'next try').id).not.toBe(failed.id);
  });
});
