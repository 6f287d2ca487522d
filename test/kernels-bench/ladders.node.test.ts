/** Every rung of every ladder computes the same, and the last one is what the product runs. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ladders } from '../../kernels-bench/ladders/all.ts';
import type { AdapterClass } from '../../src/gpu/adapter.ts';
import { Device } from '../../src/gpu/device.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';

const CLASSES: readonly AdapterClass[] = ['cpu', 'gpu'];

async function numbersOf(result: Tensor | readonly Tensor[]): Promise<Float32Array> {
  if (result instanceof Tensor) return result.floats();
  const parts = await Promise.all(result.map((tensor) => tensor.floats()));
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

describe.each(CLASSES)('on the way up for %s', (tuning) => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open({ tuning });
  });
  afterAll(() => device.close());

  it.each(ladders)('$id', async (ladder) => {
    const climb = ladder.prepare(device, 'small');
    const rungs = climb.rungs.filter(({ on }) => on.includes(tuning));
    expect(rungs.length).toBeGreaterThan(1);
    expect(rungs.at(-1)!.name).toMatch(/^product: /);
    const expected = await climb.reference();
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeGreaterThan(0);
    for (const { name, run } of rungs) {
      const found = await numbersOf(scope(run));
      expect(found.length, name).toBe(expected.length);
      const worst = found.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0);
      expect(worst / largest, name).toBeLessThan(1e-5);
      expect(found.every(Number.isFinite), name).toBe(true);
    }
    climb.dispose();
  });

  it.each(ladders)('$id has an essay that speaks of every rung', (ladder) => {
    const climb = ladder.prepare(device, 'small');
    const names = climb.rungs.map(({ name }) => name);
    climb.dispose();
    expect(new Set(names).size).toBe(names.length);
    const essay = readFileSync(`kernels-bench/ladders/${ladder.id}.md`, 'utf8').toLowerCase();
    expect(names.filter((name) => !essay.includes(name.toLowerCase()))).toEqual([]);
  });
});
