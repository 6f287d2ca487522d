import { existsSync, readFileSync } from 'node:fs';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { parseTorchShapes, parseTorchTensor } from '../../src/data/torch-tensor.ts';
import { zipEntries } from '../../src/data/zip-stored.ts';
import { expectError } from './expect-error.ts';

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`./fixtures/${name}`, import.meta.url)));
const EXPECTED = Array.from({ length: 15 }, (_, i) => i / 4 - 1);
const read = (name: string, key = '') => parseTorchTensor(fixture(name), key, name);
const refuses = (bytes: Uint8Array, text: RegExp, key = '') =>
  expectError(() => parseTorchTensor(bytes, key, 'x.pt'), 'bad-torch-file', text);

describe('files that torch.save wrote', () => {
  it.each(['tensor.pt', 'half.pt', 'bfloat16.pt', 'double.pt', 'transposed.pt', 'legacy.pt'])(
    '%s',
    (name) => {
      const { shape, data } = read(name);
      expect(shape).toEqual([5, 3]);
      expect([...data]).toEqual(EXPECTED);
    },
  );

  it('a view of a larger storage, and integers', () => {
    expect(read('view.pt').shape).toEqual([3, 3]);
    expect([...read('view.pt').data]).toEqual(EXPECTED.slice(3, 12));
    expect([...read('int64.pt').data]).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('a dict of tensors, and a parameter in an OrderedDict', () => {
    expect(parseTorchShapes(fixture('dict.pt'), 1051, 'd')).toEqual(
      new Map([
        ['features', [5, 3]],
        ['coords', [5, 2]],
      ]),
    );
    expect([...read('dict.pt', 'coords').data.subarray(0, 4)]).toEqual([0, 0, 256, 512]);
    expect([...read('parameter.pt', 'embedding').data]).toEqual(EXPECTED);
  });

  it('gives shapes from the start of the file alone', () => {
    const bytes = fixture('tensor.pt');
    expect(parseTorchShapes(bytes.subarray(0, 400), bytes.length, 't')).toEqual(
      new Map([['', [5, 3]]]),
    );
    expect(parseTorchShapes(bytes.subarray(0, 100), bytes.length, 't')).toBeUndefined();
    expect(parseTorchShapes(bytes.subarray(0, 10), bytes.length, 't')).toBeUndefined();
  });
});

describe('hostile files', () => {
  it('runs nothing and refuses unknown names', async () => {
    await refuses(fixture('evil.pt'), /posix\.system.*nothing was run/, 'features');
    expect(existsSync('/tmp/histograd-was-here')).toBe(false);
  });

  it('refuses other files, and cut ones', async () => {
    await refuses(new Uint8Array(0), /neither the zip archive/);
    await refuses(fixture('dtypes.h5'), /neither the zip archive/);
    const old = fixture('legacy.pt');
    await refuses(old.subarray(0, old.length - 1), /cut short/);
    const bytes = fixture('tensor.pt');
    await refuses(bytes.subarray(0, bytes.length - 30), /directory is missing/);
    await refuses(zipSync({ 'a/b': new Uint8Array(1) }, { level: 0 }), /no data\.pkl/);
  });

  it('refuses compressed entries, however large they claim to be', async () => {
    const bomb = zipSync({ 'archive/data.pkl': new Uint8Array(10_000_000) }, { level: 9 });
    await refuses(bomb, /compressed/);
  });

  it('refuses a tensor that repeats its values', () => refuses(fixture('expanded.pt'), /repeats/));

  it('refuses a storage that is missing or too short', async () => {
    const pickle = pickleOf(fixture('tensor.pt'));
    const build = (entries: Record<string, Uint8Array>) => zipSync(entries, { level: 0 });
    await refuses(build({ 'a/data.pkl': pickle }), /a\/data\/0\) are missing/);
    await refuses(
      build({ 'a/data.pkl': pickle, 'a/data/0': new Uint8Array(56) }),
      /needs 15 values, the file holds 14/,
    );
    await refuses(build({ 'a/data.pkl': pickle, 'a/data/0': new Uint8Array(57) }), /57 bytes/);
    const big = new TextEncoder().encode('big');
    await refuses(build({ 'a/data.pkl': pickle, 'a/byteorder': big }), /big-endian/);
  });

  it('refuses pickles that are no tensor, cut, or built to confuse', async () => {
    const archive = (pickle: string | Uint8Array) =>
      zipSync({ 'a/data.pkl': typeof pickle === 'string' ? latin1(pickle) : pickle }, { level: 0 });
    await refuses(archive(''), /cut short/);
    await refuses(archive(pickleOf(fixture('tensor.pt')).subarray(0, 60)), /x\.pt/);
    await refuses(archive('\x80\x02K\x07.'), /no tensor called ""/);
    // A name that is known, but called with nonsense, built as an object, or as a persistent id.
    await refuses(archive('ctorch._utils\n_rebuild_tensor_v2\n(K\x01tR.'), /make no sense/);
    await refuses(archive('ctorch._utils\n_rebuild_tensor_v2\n)\x81.'), /x\.pt/);
    await refuses(archive('ctorch\nFloatStorage\n)R.'), /not called/);
    await refuses(archive('ctorch\ntoString\n)R.'), /torch\.toString/);
    await refuses(archive('(X\x07\x00\x00\x00storagetQ.'), /storage is described/);
    await refuses(archive('cbuiltins\neval\n.'), /builtins\.eval/);
    await refuses(archive('\x80\x02\x82\x01.'), /opcode 0x82 at byte 2/);
  });

  it('does not let a pickle reach prototypes', async () => {
    // {"__proto__": {"polluted": 1}} and a BUILD with the same state.
    const dict = '}X\x09\x00\x00\x00__proto__}X\x08\x00\x00\x00pollutedK\x01ss';
    for (const pickle of [`${dict}.`, `]${dict}b.`, `ccollections\nOrderedDict\n)R${dict}b.`]) {
      const bytes = zipSync({ 'a/data.pkl': latin1(pickle) }, { level: 0 });
      await expectError(() => parseTorchTensor(bytes, '', 'x'), 'bad-torch-file', /./);
      expect('polluted' in {}).toBe(false);
      expect('polluted' in []).toBe(false);
    }
  });

  it('survives random damage', () => {
    const original = fixture('dict.pt');
    let seed = 1;
    for (let round = 0; round < 300; round++) {
      const bytes = original.slice();
      for (let i = 0; i < 4; i++) {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        bytes[(seed >>> 8) % bytes.length] = seed >>> 24;
      }
      try {
        expect(parseTorchTensor(bytes, 'features', 'x').data.length).toBeLessThan(1000);
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad-torch-file' });
      }
    }
  });
});

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** The pickle of a file that torch wrote for a bare tensor. */
function pickleOf(bytes: Uint8Array): Uint8Array {
  const entry = [...zipEntries(bytes)].find(([path]) => path.endsWith('data.pkl'));
  return entry?.[1].bytes ?? new Uint8Array(0);
}
