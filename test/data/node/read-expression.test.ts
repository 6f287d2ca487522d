import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseExpressionTable } from '../../../src/data/expression-table.ts';
import { readExpressionTable } from '../../../src/data/node/read-expression.ts';
import { expectError } from '../expect-error.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'histograd-expression-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const write = (name: string, data: string | Uint8Array) => {
  const path = join(folder, name);
  writeFileSync(path, data);
  return path;
};

/** 1.3 MB: many of the stream's 64 KiB chunks, with letters of several bytes that lie across them. */
const genes = Array.from({ length: 3000 }, (_, g) => `géné-${g}`);
const samples = Array.from({ length: 50 }, (_, s) => `échantillon-${s}`);
const line = (s: number) => genes.map((_, g) => ((s * g) % 977) / 8).join(',');
const TEXT = `,${genes.join(',')}\n${samples.map((name, s) => `${name},${line(s)}`).join('\n')}\n`;

describe('readExpressionTable', () => {
  it('streams plain and gzipped files to the same table as text', async () => {
    const expected = parseExpressionTable(TEXT, 'a');
    expect(expected.samples).toEqual(samples);
    expect(expected.values[3000 + 2]).toBe(0.25);
    for (const path of [write('a.csv', TEXT), write('a.csv.gz', gzipSync(TEXT))]) {
      const table = await readExpressionTable(path);
      expect(table.samples).toEqual(samples);
      expect(table.genes).toEqual(genes);
      expect(Buffer.from(table.values.buffer).equals(Buffer.from(expected.values.buffer))).toBe(
        true,
      );
    }
  });

  it('reads .tsv.gz, with genes as rows', async () => {
    const path = write('b.tsv.gz', gzipSync('g\ts1\ts2\nA\t1\t2\n'));
    const table = await readExpressionTable(path, { knownSample: (name) => name === 's2' });
    expect(table).toEqual({ samples: ['s1', 's2'], genes: ['A'], values: Float32Array.of(1, 2) });
  });

  it('reports what is wrong with the file', async () => {
    const refuses = (path: string, code: string, text: RegExp) =>
      expectError(() => readExpressionTable(path), code, text);
    await refuses(join(folder, 'none.csv'), 'no-file', /none\.csv does not exist/);
    const zipped = gzipSync(TEXT);
    const half = zipped.subarray(0, zipped.length / 2);
    await refuses(write('cut.csv.gz', half), 'bad-gzip', /cut\.csv\.gz.*unexpected end/);
    await refuses(write('text.csv.gz', TEXT), 'bad-gzip', /incorrect header/);
    await refuses(write('bad.csv', 'id,A\ns1,1\ns2,x\n'), 'bad-expression', /row s2, column A/);
    await refuses(write('empty.csv', ''), 'bad-expression', /header line/);
    await refuses(folder, 'is-folder', /is a folder/);
  });

  it.each([
    [
      'picture.csv',
      Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'),
      /it is a PNG picture\.\n.*CSV/,
    ],
    ['table.xlsx', Buffer.from('PK\x03\x04\x14\0'), /a zip archive, as Excel workbooks are/],
    ['utf16.csv', Buffer.from('\ufeffid,A\ns1,1\n', 'utf16le'), /it is text in UTF-16/],
    ['other.csv.gz', gzipSync(Buffer.from('id,A\0')), /other\.csv\.gz .* it is not text/],
    ['named.csv', gzipSync('id,A\ns1,1\n'), /gzipped, and its name does not end in \.gz/],
  ])('says that %s is no table, without its bytes', async (name, data, text) => {
    await expectError(() => readExpressionTable(write(name, data)), 'bad-expression', text);
  });
});
