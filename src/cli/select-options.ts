/** The options of `histograd extract` that choose tiles. */
import { createHash } from 'node:crypto';
import { HistogradError } from '../errors.ts';
import { DEXINED_SOURCE, dexinedScore, openDexiNed } from '../extraction/dexined-score.ts';
import type { Device } from '../gpu/device.ts';
import type { SelectOptions, SelectorKind } from '../slides/select-tiles.ts';
import { checkKeepRule, type KeepRule } from '../slides/selectors/keep.ts';
import type { TissueRule } from '../slides/tissue-mask.ts';

interface TileChoice {
  readonly tissue: TissueRule;
  readonly minTissue?: number | undefined;
  readonly selector: SelectorKind;
  readonly dexinedWeights?: string | undefined;
  readonly keep?: string | undefined;
}

/** What is wrong here is wrong for every slide: it is said before the weights are read. */
export function selectOptions(choice: TileChoice): SelectOptions {
  const { tissue, minTissue, selector, dexinedWeights, keep } = choice;
  if (selector === 'dexined' && dexinedWeights === undefined) {
    throw new HistogradError(
      'usage',
      '--selector dexined needs the weights of that network.',
      `Give them with --dexined-weights. ${DEXINED_SOURCE}`,
    );
  }
  const problem =
    minTissue !== undefined && tissue !== 'otsu'
      ? `--min-tissue goes with --tissue otsu, and the rule is ${tissue}, which has its own`
      : keep !== undefined && selector === 'none'
        ? '--keep goes with a --selector, and there is none'
        : keep === undefined && selector !== 'none'
          ? `--selector ${selector} needs --keep, which says what scores to keep`
          : dexinedWeights !== undefined && selector !== 'dexined'
            ? `--dexined-weights goes with --selector dexined, and the selector is ${selector}`
            : undefined;
  if (problem !== undefined) {
    throw new HistogradError(
      'usage',
      `${problem}.`,
      'For example: --tissue otsu --min-tissue 0.3 --selector shannon --keep sigmas:1',
    );
  }
  const rule = keep === undefined ? {} : { keep: parseKeep(keep) };
  return {
    tissue,
    ...(tissue === 'otsu' ? { minTissue: minTissue ?? 0.2 } : {}),
    selector,
    ...rule,
  };
}

/**
 * Options with DexiNed behind them, and what the features' settings say of them: the weights by their SHA-256.
 *
 * @throws HistogradError when the weights are not DexiNed's
 */
export function withDexiNed(
  device: Device,
  select: SelectOptions,
  weights: Uint8Array,
  name: string,
): { select: SelectOptions; said: SelectOptions & { dexined: string } } {
  const network = openDexiNed(device, weights, name);
  const dexined = createHash('sha256').update(weights).digest('hex');
  return {
    select: { ...select, scoreTile: dexinedScore(device, network) },
    said: { ...select, dexined },
  };
}

/** `sigmas:1`, `fraction:0.3`, `above:1.6e6` or `above-per-pixel:8`. */
function parseKeep(text: string): KeepRule {
  const [kind = '', value = '', more] = text.split(':');
  const number = Number(value);
  const rules: Readonly<Record<string, KeepRule>> = {
    sigmas: { sigmas: number },
    fraction: { fraction: number },
    above: { above: number },
    'above-per-pixel': { abovePerPixel: number },
  };
  const rule = Object.hasOwn(rules, kind) ? rules[kind] : undefined;
  if (rule && value.trim() !== '' && Number.isFinite(number) && more === undefined) {
    checkKeepRule(rule);
    return rule;
  }
  throw new HistogradError(
    'usage',
    `--keep ${text}: expected sigmas:X, fraction:X, above:X or above-per-pixel:X.`,
    'For example: --selector shannon --keep sigmas:1',
  );
}
