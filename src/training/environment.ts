import { hostFacts } from '#platform';
import { describeTuning } from '../gpu/choose-tuning.ts';
import type { Device } from '../gpu/device.ts';
import { VERSION } from '../version.ts';

/** What a result was computed with, for environment.json and the report. */
export async function environmentOf({
  adapter,
  chosenTuning,
}: Device): Promise<Record<string, string>> {
  return {
    histograd: VERSION,
    adapter: `${adapter.name} (${adapter.kind})`,
    tuning: describeTuning(chosenTuning),
    ...(chosenTuning.mark !== undefined && { tuningMark: chosenTuning.mark }),
    ...(await hostFacts()),
    date: new Date().toISOString(),
  };
}
