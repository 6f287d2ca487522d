import { expect, it } from 'vitest';
import { selectOptions } from '../../src/cli/select-options.ts';
import { expectError } from '../data/expect-error.ts';

const tissue = 'otsu' as const;

it('options that choose tiles become what selectTiles takes', () => {
  expect(selectOptions({ tissue, selector: 'none' })).toEqual({
    tissue,
    minTissue: 0.2,
    selector: 'none',
  });
  const dexined = { selector: 'dexined', dexinedWeights: '10_model.pth' } as const;
  expect(selectOptions({ tissue: 'sequoia', ...dexined, keep: 'fraction:0.3' })).toEqual({
    tissue: 'sequoia',
    selector: 'dexined',
    keep: { fraction: 0.3 },
  });
});

it('dexined asks for its weights and says where they are; no other selector takes them', async () => {
  const keep = 'sigmas:1';
  await expectError(
    () => selectOptions({ tissue, selector: 'dexined', keep }),
    'usage',
    /--selector dexined needs the weights.*\n.*--dexined-weights.*github\.com\/xavysp\/DexiNed.*huggingface\.co\/kornia\/dexined/,
  );
  await expectError(
    () => selectOptions({ tissue, selector: 'ig', keep, dexinedWeights: 'x.pth' }),
    'usage',
    /--dexined-weights goes with --selector dexined, and the selector is ig/,
  );
});

it('a rule that can keep no tile is refused before anything is opened', async () => {
  const keep = (rule: string) => () => selectOptions({ tissue, selector: 'ig', keep: rule });
  await expectError(keep('fraction:2'), 'keep-rule', /fraction is 2, expected above 0, at most 1/);
  await expectError(keep('fraction:0'), 'keep-rule', /fraction is 0/);
  await expectError(keep('sigmas:1:2'), 'usage', /--keep sigmas:1:2: expected sigmas:X/);
  await expectError(keep('above:'), 'usage', /--keep above:: expected/);
  await expectError(keep('constructor:1'), 'usage', /expected sigmas:X/);
});
