import { writeFileSync } from 'node:fs';
import { it } from 'vitest';
import { findPam50 } from '../../src/metrics/pam50.ts';
import { renderReport } from '../../src/report/report.ts';
import { example, SOME_PAM50, SPECS } from './example.ts';

it('draw', () => {
  const genes = [...SOME_PAM50, ...Array.from({ length: 300 }, (_, i) => `GENE${i}`)];
  const data = example(genes, SPECS);
  data.simulated = {
    reachableMeanPearson: 0.55,
    note: 'Tissue-like tiles whose genes follow known morphology.',
  };
  writeFileSync('/tmp/report.html', renderReport(data));
  const big = [...findPam50([]).missing, ...Array.from({ length: 20480 }, (_, i) => `GENE${i}`)];
  const regimes = example(
    big,
    [
      ...SPECS,
      { ...SPECS[0]!, regime: 'chunks of 256', seconds: 6000, modelsTrained: 81 * 3 },
      { ...SPECS[0]!, regime: 'per gene', seconds: 250000, modelsTrained: 20530 * 3, skill: 0.5 },
      { ...SPECS[2]!, regime: 'chunks of 256', seconds: 9000, modelsTrained: 81 * 3 },
    ],
    { slides: 12 },
  );
  const out = renderReport(regimes);
  writeFileSync('/tmp/big.html', out);
  console.log('big', out.length);
  writeFileSync(
    '/tmp/few.html',
    renderReport(example(['A', 'B', 'C', 'D', 'E'], SPECS.slice(0, 2), { folds: 16, slides: 4 })),
  );
  writeFileSync('/tmp/loo.html', renderReport(example(['A','ESR1'], SPECS.slice(0,2), { folds: 8, slides: 1 })));
  const one = example(['ONLY'], [{ ...SPECS[0]!, epochs: 1 }], {
    folds: 1,
    slides: 40,
    validation: false,
  });
  writeFileSync('/tmp/one.html', renderReport(one));
});
