import { describe, expect, it } from 'vitest';
import { parseExpressionTable, selectGenes } from '../../src/data/expression-table.ts';
import { expectError } from './expect-error.ts';

const SAMPLES = ['s1', 's2'];
const GENES = ['TP53', 'ESR1', 'MKI67'];
const VALUES = [1, 2, 3, 4.5, 5e2, 0];
const AS_COLUMNS = 'id,TP53,ESR1,MKI67\ns1,1,2,3\ns2,4.5,5e2,0\n';
const AS_ROWS = 'gene,s1,s2\nTP53,1,4.5\nESR1,2,500\nMKI67,3,0\n';
const knownSample = (name: string) => SAMPLES.includes(name);

const parse = (text: string, options = {}, name = 'rna.csv') =>
  parseExpressionTable(text, name, options);
const expectTable = (table: ReturnType<typeof parse>) => {
  expect(table.samples).toEqual(SAMPLES);
  expect(table.genes).toEqual(GENES);
  expect([...table.values]).toEqual(VALUES);
};

describe('parseExpressionTable', () => {
  it('reads genes as columns and as rows, found from the known samples', () => {
    expectTable(parse(AS_COLUMNS, { knownSample }));
    expectTable(parse(AS_ROWS, { knownSample }));
  });

  it('takes genes as columns without known samples, or the orientation it is told', () => {
    expectTable(parse(AS_COLUMNS));
    expectTable(parse(AS_ROWS, { orientation: 'genes-as-rows' }));
    expect(parse(AS_ROWS, { knownSample, orientation: 'genes-as-columns' }).genes).toEqual(SAMPLES);
  });

  it('reads tabs, semicolons, CRLF, quotes, a byte-order mark, spaces and blank lines', () => {
    expectTable(parse(AS_COLUMNS.replaceAll(',', '\t'), {}, 'rna.tsv'));
    expectTable(parse(AS_COLUMNS.replaceAll(',', '\t'), {}, 'rna.txt'));
    expectTable(parse(AS_COLUMNS.replaceAll(',', ';')));
    expectTable(parse(`\uFEFF${AS_COLUMNS.replaceAll('\n', '\r\n')}\r\n\r\n`));
    expectTable(
      parse(AS_COLUMNS.replaceAll(/\b(s1|TP53|4\.5)\b/g, '"$1"').replace(',2,', ', 2 ,')),
    );
    expectTable(parse(AS_COLUMNS.trimEnd()));
  });

  it('reads R’s header, which has no corner', () => {
    expectTable(parse(AS_COLUMNS.replace('id,', '')));
    expectTable(parse(AS_ROWS.replace('gene,', ''), { knownSample }));
  });

  it.each([
    ['', 'NA', /row s2, column ESR1 is missing/],
    ['500', 'n/a', /row s2, column ESR1 is missing \(n\/a\)/],
    ['500', '1,5', /row s2 has 4 values, the header names 3/],
    ['500', 'high', /row s2, column ESR1 holds "high", which is not a number/],
    ['500', '0x10', /holds "0x10"/],
    ['500', 'Infinity', /holds "Infinity"/],
    ['500', '1e39', /holds "1e39"/],
  ])('refuses a cell %s %s, naming row and column', (_, cell, text) =>
    expectError(() => parse(AS_COLUMNS.replace('5e2', cell)), 'bad-expression', text),
  );

  it('refuses an empty cell, short rows, and tables without values', async () => {
    const refuses = (text: string, message: RegExp) =>
      expectError(() => parse(text), 'bad-expression', message);
    await refuses(AS_COLUMNS.replace('5e2', ''), /rna\.csv .*row s2, column ESR1 is missing/);
    await refuses(AS_COLUMNS.replace(',5e2', ''), /row s2 has 2 values, the header names 3/);
    await refuses('', /header line/);
    await refuses('id,TP53\n', /header line/);
    await refuses('id\ns1\n', /header line/);
    await refuses('id,,B\ns1,1,2\n', /gene number 1 has no name/);
    await refuses('id,A\n,1\n', /sample number 1 has no name/);
  });

  it('refuses duplicate genes and samples', async () => {
    const genes = AS_COLUMNS.replace('ESR1', 'TP53');
    await expectError(() => parse(genes), 'duplicate-gene', /gene TP53 twice/);
    const samples = AS_COLUMNS.replace('s2', 's1');
    await expectError(() => parse(samples), 'duplicate-sample', /sample s1 twice/);
    const rows = { orientation: 'genes-as-rows' };
    await expectError(() => parse(samples, rows), 'duplicate-gene', /gene s1 twice/);
  });

  it('refuses to guess where the genes are', async () => {
    const nobody = { knownSample: () => false };
    await expectError(
      () => parse(AS_COLUMNS, nobody),
      'unknown-orientation',
      /rows \(s1, s2, …\) nor its columns \(TP53, ESR1, MKI67, …\) are samples/,
    );
    const square = 'id,s1,s2\ns1,1,0\ns2,0,1\n';
    await expectError(() => parse(square, { knownSample }), 'unknown-orientation', /orientation/);
  });
});

describe('selectGenes', () => {
  const table = parse(AS_COLUMNS);

  it('keeps the given genes in their order', () => {
    const picked = selectGenes(table, ['MKI67', 'TP53'], 'rna.csv');
    expect(picked.genes).toEqual(['MKI67', 'TP53']);
    expect([...picked.values]).toEqual([3, 1, 0, 4.5]);
  });

  it('suggests names for unknown genes', async () => {
    await expectError(
      () => selectGenes(table, ['mki67', 'TP35', 'ZZZZZ9', 'TP53'], 'rna.csv'),
      'unknown-gene',
      /3 of the 4 .*mki67 \(did you mean MKI67\?\), TP35 \(did you mean TP53\?\), ZZZZZ9\./,
    );
    const many = ['a1', 'b2', 'c3', 'd4', 'e5', 'f6', 'g7'].map((gene) => `${gene}xxxxxxx`);
    await expectError(() => selectGenes(table, many, 'r'), 'unknown-gene', /and 2 more/);
  });

  it('refuses a gene asked for twice', () =>
    expectError(() => selectGenes(table, ['TP53', 'TP53'], 'r'), 'duplicate-gene', /gene list/));
});
