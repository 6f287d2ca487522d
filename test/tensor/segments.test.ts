import { describe, expect, it } from 'vitest';
import { scope } from '../../src/tensor/scope.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

describe('Segments', () => {
  it('knows its bags, empty ones too', async () => {
    const segments = Segments.ofLengths(await testDevice(), [2, 0, 3]);
    expect([...segments.offsets]).toEqual([0, 2, 2, 5]);
    expect([segments.count, segments.total]).toEqual([3, 5]);
    expect([...(await segments.starts.data())]).toEqual([0, 2, 2, 5]);
    expect([...(await segments.rowBag.data())]).toEqual([0, 0, 2, 2, 2]);
    expect([...(await segments.bagIndex.data())]).toEqual([0, 1, 2]);
    segments.dispose();
  });

  it('cuts bags into runs of 128 rows', async () => {
    const segments = Segments.ofLengths(await testDevice(), [0, 300, 128, 1]);
    const { starts, bagStarts, count } = segments.runs;
    expect(count).toBe(5);
    expect([...(await starts.data())]).toEqual([0, 128, 256, 300, 428, 429]);
    expect([...(await bagStarts.data())]).toEqual([0, 0, 3, 4, 5]);
    segments.dispose();
  });

  it.each([[[2.5, 2]], [[3, -1]]])('refuses the lengths %j', async (lengths) => {
    const device = await testDevice();
    await expectError(() => Segments.ofLengths(device, lengths), 'segments', /must ascend from 0/);
  });

  it('keeps its arrays through scopes, and frees them when disposed of', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const segments = new Segments(device, [0, 4]);
    const starts = scope(() => segments.starts);
    scope(() => [segments.rowBag, segments.starts].length);
    expect(segments.starts).toBe(starts);
    expect(starts.disposed).toBe(false);
    segments.dispose();
    expect(device.memory.live).toBe(before);
  });

  it.each([
    [[], /found \[\]/],
    [[1, 2], /must ascend from 0, found \[1, 2\]/],
    [[0, 5, 3], /found \[0, 5, 3\]/],
    [[0, -1], /found \[0, -1\]/],
    [[0, 1.5], /found \[0, 1.5\]/],
    [[0, 3, 2, 4, 5, 6, 7, 8, 9], /found \[0, 3, 2, 4, 5, 6, 7, 8, …\]/],
  ])('refuses the offsets %j', async (offsets, found) => {
    const device = await testDevice();
    await expectError(() => new Segments(device, offsets), 'segments', found);
  });
});
