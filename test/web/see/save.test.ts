import { expect, test } from 'vitest';
import { fileName } from '../../../src/web/see/save.ts';

test.each([
  [['Simulated cohort', 'S-1/a', 'HLA-DRA'], 'Simulated-cohort_S-1-a_HLA-DRA.csv'],
  [['Übersicht: é', '..', ''], 'U-bersicht-e.csv'],
  [['../../etc/passwd'], 'etc-passwd.csv'],
  [['<>:"|?*'], 'histograd.csv'],
  [['x'.repeat(500)], `${'x'.repeat(120)}.csv`],
])('%j', (parts, name) => {
  expect(fileName(parts, 'csv')).toBe(name);
});
