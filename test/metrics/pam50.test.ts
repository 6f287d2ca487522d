import { describe, expect, it } from 'vitest';
import { findPam50 } from '../../src/metrics/pam50.ts';

describe('findPam50', () => {
  it('has 50 genes', () => {
    const { present, missing } = findPam50([]);
    expect(present).toEqual([]);
    expect(missing).toHaveLength(50);
    expect(new Set(missing).size).toBe(50);
    expect(missing).toEqual([...missing].sort());
  });

  it('knows the older symbols, prefers the current one, and does not mistake mouse genes', () => {
    const { present, missing } = findPam50([
      'X',
      'CDCA1',
      'KNTC2',
      'ORC6L',
      'ESR1',
      'ORC6',
      'Egfr',
    ]);
    expect(present).toEqual([
      { symbol: 'ESR1', column: 4 },
      { symbol: 'NDC80', column: 2 },
      { symbol: 'NUF2', column: 1 },
      { symbol: 'ORC6', column: 5 },
    ]);
    expect(missing).toHaveLength(46);
    expect(missing).toContain('EGFR');
  });
});
