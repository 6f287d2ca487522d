import { hostFacts } from '#platform';
import type { Device } from '../gpu/device.ts';
import { VERSION } from '../version.ts';

/** What a result was computed with, for environment.json and the report. */
export async function environmentOf({ adapter }: Device): Promise<Record<string, string>> {
  return {
    histograd: VERSION,
    adapter: `${adapter.name} (${adapter.kind})`,
    ...(await hostFacts()),
    date: new Date().toISOString(),
  };
}
