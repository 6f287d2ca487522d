import { describe, expect, it } from 'vitest';
import { matrixMarketReader } from '../../src/data/matrix-market.ts';
import { expectError } from './expect-error.ts';

const BANNER = '%%MatrixMarket matrix coordinate integer general\n%comment\n';

function read(text: string, pieces = 7, options = {}) {
  const reader = matrixMarketReader('m.mtx', { genes: 4, spots: 3 }, options);
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += pieces) reader.push(bytes.subarray(at, at + pieces));
  return reader.finish();
}

describe('matrixMarketReader', () => {
  it.each([1, 5, 1000])('transposes genes by spots, in pieces of %i bytes', (pieces) => {
    const matrix = read(`${BANNER}4 3 4\n4 1 7\n1 1 2\n2 3 1\r\n3 3 9`, pieces);
    expect([...matrix.starts]).toEqual([0, 2, 2, 4]);
    expect([...matrix.columnIndex]).toEqual([0, 3, 1, 2]);
    expect([...matrix.values]).toEqual([2, 7, 1, 9]);
  });

  it.each([
    [
      'another format',
      '%%MatrixMarket matrix array real general\n',
      'bad-mtx',
      /coordinate integer/,
    ],
    ['symmetry', BANNER.replace('general', 'symmetric'), 'bad-mtx', /symmetric/],
    ['a transposed shape', `${BANNER}3 4 0\n`, 'bad-mtx', /transposed/],
    ['a huge shape', `${BANNER}4000000000 4000000000 9\n`, 'bad-mtx', /expected 4 genes x 3 spots/],
    ['too many announced', `${BANNER}4 3 13\n`, 'bad-mtx', /announces 13/],
    ['fewer entries', `${BANNER}4 3 2\n1 1 1\n`, 'bad-mtx', /after 1 of the 2/],
    ['more entries', `${BANNER}4 3 1\n1 1 1\n1 2 1\n`, 'bad-mtx', /more than the 1/],
    ['indices from 0', `${BANNER}4 3 1\n0 1 1\n`, 'bad-mtx', /counts from 1/],
    ['an index beyond', `${BANNER}4 3 1\n1 4 1\n`, 'bad-mtx', /spot 4 is outside 1 … 3/],
    ['an entry twice', `${BANNER}4 3 2\n1 1 1\n1 1 1\n`, 'bad-counts', /twice/],
    ['a negative count', `${BANNER}4 3 1\n1 1 -2\n`, 'bad-counts', /-2/],
    ['no number', `${BANNER}4 3 1\n1 1 x\n`, 'bad-counts', /NaN/],
    ['a fraction', `${BANNER}4 3 1\n1 1 0.5\n`, 'not-counts', /0.5/],
    ['an endless line', `${BANNER}${'1'.repeat(5000)}`, 'bad-mtx', /longer than/],
    ['endless blanks', `${BANNER}4 3 1\n${' \n'.repeat(600_000)}`, 'bad-mtx', /far longer/],
  ] as const)('refuses %s', async (_, text, code, message) => {
    await expectError(() => read(text, 4096), code, message);
  });

  it('accepts fractions when asked to', () => {
    const text = `${BANNER.replace('integer', 'real')}4 3 1\n1 1 0.5\n`;
    expect([...read(text, 9, { allowFractions: true }).values]).toEqual([0.5]);
  });
});
