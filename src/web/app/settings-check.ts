/** What is wrong with training settings before the engine sees them, in the words of the form. */
import type { TrainSettings } from '../protocol.ts';

/** By field; model options as `modelOptions.hidden`. */
export type Wrong = Readonly<Record<string, string>>;

export function checkSettings(settings: TrainSettings): Wrong {
  const { validationFraction, testFraction, patience } = settings;
  const wrong: Record<string, string> = {};
  const check = (field: string, message: string | null) => {
    if (message !== null) wrong[field] = message;
  };
  check('epochs', whole(settings.epochs, 1, 100_000));
  check('batchSize', whole(settings.batchSize, 1, 100_000));
  check('maxPatches', whole(settings.maxPatches, 1, 1_000_000));
  check('patience', whole(patience, 0, 100_000));
  check('seed', whole(settings.seed, 0, 2 ** 32 - 1));
  check('lr', between(settings.lr, 0, 1, 'above'));
  check('weightDecay', between(settings.weightDecay, 0, 1));
  check('validationFraction', between(validationFraction, 0, 0.5));
  check('testFraction', between(testFraction, 0, 0.5));
  if (patience > 0 && validationFraction === 0) {
    check('patience', 'Early stopping watches the validation part: give it a share, or enter 0.');
  }
  for (const [name, value] of Object.entries(settings.modelOptions)) {
    if (typeof value === 'number') check(`modelOptions.${name}`, checkOption(name, value));
  }
  return wrong;
}

function checkOption(name: string, value: number): string | null {
  if (/dropout/i.test(name)) return between(value, 0, 0.95);
  if (/temperature/i.test(name)) return between(value, 0, 100, 'above');
  if (name === 'from' || name === 'to') return between(value, -12, 12);
  return whole(value, 1, 65_536);
}

function whole(value: number, from: number, to: number): string | null {
  const fits = Number.isInteger(value) && value >= from && value <= to;
  return fits ? null : `Enter a whole number from ${number(from)} to ${number(to)}.`;
}

function between(value: number, from: number, to: number, open?: 'above'): string | null {
  const fits = (open ? value > from : value >= from) && value <= to;
  const range = open
    ? `above ${number(from)} and up to ${number(to)}`
    : `from ${number(from)} to ${number(to)}`;
  return fits ? null : `Enter a number ${range}.`;
}

const number = (value: number): string => value.toLocaleString('en-GB');

/** Half the patches, then half the bags, for a GPU that ran out of memory; null when both are small already. */
export function smallerSettings(
  settings: TrainSettings,
): { settings: TrainSettings; what: string } | null {
  const { maxPatches, batchSize } = settings;
  if (maxPatches > 32) {
    const half = Math.ceil(maxPatches / 2);
    return {
      settings: { ...settings, maxPatches: half },
      what: `${number(half)} instead of ${number(maxPatches)} patches at a time`,
    };
  }
  if (batchSize > 1) {
    const half = Math.ceil(batchSize / 2);
    return {
      settings: { ...settings, batchSize: half },
      what: `${number(half)} instead of ${number(batchSize)} samples per step`,
    };
  }
  return null;
}
