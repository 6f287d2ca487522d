import { existsSync, readFileSync } from 'node:fs';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { type Checkpoint, parseCheckpoint } from '../../src/data/checkpoint.ts';
import { serializeSafetensors } from '../../src/data/safetensors.ts';
import { zipEntries } from '../../src/data/zip-stored.ts';
import { HistogradError } from '../../src/errors.ts';
import { expectError } from './expect-error.ts';

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`./fixtures/${name}`, import.meta.url)));
const values = ({ tensors }: Checkpoint, key: string) => [...tensors.get(key)!.values()];
const WEIGHT = Array.from({ length: 24 }, (_, i) => i / 8 - 1);
const COLUMNS = Array.from({ length: 24 }, (_, i) => WEIGHT[6 * (i % 4) + Math.floor(i / 4)]);

/** Opens a file and reads all that it holds. */
function readAll(bytes: Uint8Array): number {
  const { tensors } = parseCheckpoint(bytes, 'x');
  return [...tensors.values()].reduce((total, tensor) => total + tensor.values().length, 0);
}

describe('what torch.save wrote', () => {
  it.each([
    ['state.pth', ''],
    ['state-old.pth', ''],
    ['lightning.ckpt', 'model.resnet.'],
    ['dino.pth', 'module.backbone.'],
  ])('%s', (name, prefix) => {
    const checkpoint = parseCheckpoint(fixture(name), name);
    const shapes = [...checkpoint.tensors].map(([key, { shape }]) => [key, shape]);
    expect(Object.fromEntries(shapes)).toEqual({
      [`${prefix}weight`]: [4, 6],
      [`${prefix}bias`]: [4],
      [`${prefix}columns`]: [6, 4],
      [`${prefix}rows`]: [2, 3],
      [`${prefix}num_batches_tracked`]: [],
      [`${prefix}mask`]: [2],
    });
    expect(values(checkpoint, `${prefix}weight`)).toEqual(WEIGHT);
    expect(values(checkpoint, `${prefix}bias`)).toEqual([0, 0.25, 0.5, 0.75]);
    expect(values(checkpoint, `${prefix}columns`)).toEqual(COLUMNS);
    expect(values(checkpoint, `${prefix}rows`)).toEqual(
      [8, 9, 10, 14, 15, 16].map((i) => WEIGHT[i]),
    );
    expect(values(checkpoint, `${prefix}num_batches_tracked`)).toEqual([7]);
    expect(values(checkpoint, `${prefix}mask`)).toEqual([1, 0]);
  });

  it('is safetensors as well', () => {
    const bytes = serializeSafetensors({
      w: { shape: [2], data: Float32Array.of(1, 2) },
      n: { shape: [], data: BigInt64Array.of(3n) },
    });
    const checkpoint = parseCheckpoint(bytes, 's');
    expect([values(checkpoint, 'w'), values(checkpoint, 'n')]).toEqual([[1, 2], [3]]);
  });
});

describe('hostile files', () => {
  it('refuses names that are no tensor, and runs nothing', async () => {
    const open = (name: string) => () => parseCheckpoint(fixture(name), name);
    await expectError(open('evil.pt'), 'bad-torch-file', /posix\.system.*nothing was run/);
    await expectError(
      open('whole-module.pth'),
      'bad-torch-file',
      /torch\.nn.*Linear.*\n.*state_dict/,
    );
    expect(existsSync('/tmp/histograd-was-here')).toBe(false);
    const pickles = [
      'cos\nsystem\n(U\x08rm -rf /tR.',
      'cbuiltins\neval\n(U\x011tR.',
      '(ios\nsystem\n.',
      '\x80\x04\x8c\x02nt\x8c\x06system\x93)R.',
      'csubprocess\nPopen\n)\x81.',
      'ctorch.hub\nload\n)R.',
      'c__builtin__\ngetattr\n)R.',
    ];
    for (const text of pickles) {
      await expectError(
        () => parseCheckpoint(archive(text), 'x'),
        'bad-torch-file',
        /names|opcode/,
      );
    }
  });

  it('says what other files are, and how to save them', async () => {
    const refuses = (bytes: Uint8Array, text: RegExp) =>
      expectError(() => parseCheckpoint(bytes, 'x.bin'), 'unknown-weights', text);
    await refuses(new Uint8Array(0), /x\.bin.*found nothing.*\n.*torch\.save\(model\.state_dict/);
    await refuses(fixture('clam.h5'), /found HDF5/);
    await refuses(latin1('\x80\x02}.'), /a pickle that torch\.save did not write/);
    await refuses(latin1('<!doctype html><html>'), /web page/);
    await refuses(latin1('version https://git-lfs.github.com/spec/v1'), /LFS pointer/);
    await refuses(latin1('\x1f\x8b\x08'), /gzip/);
    await expectError(
      () => parseCheckpoint(fixture('tensor.pt'), 'x'),
      'bad-torch-file',
      /no state dict/,
    );
  });

  it('refuses windows outside of their storage, or larger than it', async () => {
    const refuses = (tensor: string, text: RegExp, bytes = 24) =>
      expectError(
        () => readAll(archive(dictOf(tensor), new Uint8Array(bytes))),
        'bad-torch-file',
        text,
      );
    // offset, shape, stride on a storage of six floats
    await refuses(tensorOf('K\x01', 'K\x06', 'K\x01'), /needs 7 values, the file holds 6/);
    await refuses(tensorOf('K\x00', 'K\x03', 'K\x03'), /needs 7 values/);
    await refuses(tensorOf('K\x00', 'K\xff', 'K\x00'), /repeats values/);
    await refuses(tensorOf('J\xff\xff\xff\xff', 'K\x01', 'K\x01'), /make no sense/);
    await refuses(tensorOf('K\x05', 'K\x02', 'J\xff\xff\xff\xff'), /make no sense/);
    await refuses(tensorOf('G\x40\x00\x00\x00\x00\x00\x00\x01', 'K\x02', 'K\x01'), /make no sense/);
    await refuses(tensorOf('K\x00', 'K\x02', ''), /strides do not fit/);
    const huge = '\x8a\x07\xff\xff\xff\xff\xff\xff\x1f';
    await refuses(tensorOf('K\x00', huge, 'K\x00'), /repeats values/);
    await refuses(tensorOf('K\x00', huge, huge), /needs \S+ values/);
    await refuses(tensorOf('K\x00', `${huge.repeat(16)}K\x00`, 'K\x00'.repeat(17)), /17 axes/);
    await refuses(tensorOf('K\x00', 'K\x02', 'K\x01'), /23 bytes, which is not a whole number/, 23);
  });

  it('stops at pickles that would take hours or gigabytes', async () => {
    const refuses = (pickle: string, text: RegExp) =>
      expectError(() => parseCheckpoint(archive(pickle), 'x'), 'bad-torch-file', text);
    await refuses('}'.repeat(3_000_000), /more than 1000000 steps/);
    await refuses('('.repeat(3_000_000), /steps/);
    // A pair of itself, thirty levels deep, as the name of a module: as text it would have a thousand million commas.
    const nested = `]${'q\x00h\x00\x86'.repeat(30)}U\x01x\x93.`;
    await refuses(nested, /no text/);
    // One list of many pairs, made into a dict again and again.
    const pairs = `](${'K\x01K\x02\x86'.repeat(200_000)}e`;
    const dicts = 'h\x00h\x01\x85R0'.repeat(10);
    await refuses(`ccollections\nOrderedDict\nq\x000${pairs}q\x010${dicts}K\x01.`, /1000000 pairs/);
    await refuses('(X\xff\xff\xff\x7f.', /cut short/);
    await refuses(`\x8b\xff\xff\x00\x00${'\x01'.repeat(65535)}.`, /opcode 0x8b/);
    await refuses('h\x05.', /never remembered/);
    await refuses('0.', /takes more than it gave/);
    await refuses('K\x01(0.', /takes more than it gave/);
    await refuses('e.', /takes more than it gave/);
    await refuses('K\x01K\x02a.', /something else for a list/);
    await refuses('K\x01K\x02K\x03s.', /something else for a dict/);
    await refuses('}(K\x01u.', /something else for a dict/);
    await refuses('K\x01)R.', /calls what is no function/);
    await refuses('\x80\x09.', /protocol/);
  });

  it('finds damaged values by their checksum', async () => {
    const bytes = fixture('state.pth');
    const path = [...zipEntries(bytes).keys()].find((entry) => entry.endsWith('data/0'))!;
    zipEntries(bytes).get(path)!.bytes[3]! ^= 0x10;
    await expectError(() => readAll(bytes), 'bad-torch-file', /data\/0 is damaged \(checksum/);
  });

  it('refuses the storages of old files that do not fit', async () => {
    const bytes = fixture('state-old.pth');
    await expectError(
      () => readAll(Uint8Array.of(...bytes, 0)),
      'bad-torch-file',
      /1 bytes behind/,
    );
    // The first storage follows the list of keys: its length is 24 values.
    const cut = bytes.slice();
    const at = cut.findIndex(
      (_, i) => cut[i] === 24 && cut.subarray(i + 1, i + 8).every((b) => b === 0),
    );
    cut[at + 7] = 0x7f;
    await expectError(() => readAll(cut), 'bad-torch-file', /described with 24 elements/);
  });

  const safetensors = serializeSafetensors({ w: { shape: [9], data: new Float32Array(9) } });
  it.each([
    ['state.pth', fixture('state.pth')],
    ['state-old.pth', fixture('state-old.pth')],
    ['lightning.ckpt', fixture('lightning.ckpt')],
    ['safetensors', safetensors],
  ])('cut short, or damaged, gives an error or a file of the same size: %s', (_, original) => {
    for (let part = 0; part < 50; part++) {
      const bytes = original.slice(0, Math.floor((original.length * part) / 50));
      expect(() => readAll(bytes)).toThrow(HistogradError);
    }
    let seed = 1;
    for (let round = 0; round < 400; round++) {
      const bytes = original.slice();
      for (let i = 0; i < 3; i++) {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        bytes[(seed >>> 8) % bytes.length] = seed >>> 24;
      }
      try {
        expect(readAll(bytes)).toBeLessThan(1000);
      } catch (error) {
        if (!(error instanceof HistogradError)) throw error;
      }
    }
  });
});

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

function archive(pickle: string, storage = new Uint8Array(0)): Uint8Array {
  return zipSync({ 'a/data.pkl': latin1(pickle), 'a/data/0': storage }, { level: 0 });
}

/** {'w': value} */
const dictOf = (value: string) => `\x80\x02}U\x01w${value}s.`;

/** A call of _rebuild_tensor_v2 on a storage of six floats; numbers as opcodes. */
function tensorOf(offset: string, shape: string, stride: string): string {
  const storage = '(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06tQ';
  return `ctorch._utils\n_rebuild_tensor_v2\n(${storage}${offset}(${shape}t(${stride}t\x89}tR`;
}

const LPIPS = new URL('../../../shared/data/weights/', import.meta.url);
describe('the LPIPS heads', () => {
  it.skipIf(!existsSync(LPIPS)).each([
    ['alex', [64, 192, 384, 256, 256]],
    ['squeeze', [64, 128, 256, 384, 384, 512, 512]],
    ['vgg', [64, 128, 256, 512, 512]],
  ])('%s opens as weights that are not negative', (name, widths) => {
    const bytes = new Uint8Array(readFileSync(new URL(`${name}.pth`, LPIPS)));
    const { tensors } = parseCheckpoint(bytes, name);
    const found = widths.map((_, i) => tensors.get(`lin${i}.model.1.weight`));
    expect(found.map((tensor) => tensor?.shape)).toEqual(widths.map((n) => [1, n, 1, 1]));
    for (const tensor of found) {
      expect(Math.min(...tensor!.values())).toBeGreaterThanOrEqual(0);
      expect(Math.max(...tensor!.values())).toBeGreaterThan(0.01);
    }
    expect(tensors.size).toBe(widths.length);
  });
});
