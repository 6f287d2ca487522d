import { z } from 'zod';
import { ADAPTER_REQUESTS, type AdapterRequest } from '../gpu/adapter.ts';
import { checkOptions } from './check-options.ts';

/** `--adapter`, in every command's schema. */
export const adapterOption = z.enum(ADAPTER_REQUESTS).optional();

const schema = z.object({ adapter: adapterOption });

/** @throws HistogradError `usage` for an unknown name */
export function adapterRequest(value: unknown): AdapterRequest | undefined {
  return checkOptions(schema, { adapter: value }, 'The command line').adapter;
}
