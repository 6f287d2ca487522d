import { z } from 'zod';
import type { AdapterRequest } from '../gpu/adapter.ts';
import { checkOptions } from './check-options.ts';

const schema = z.object({
  adapter: z.enum(['auto', 'hardware', 'lavapipe', 'swiftshader']).optional(),
});

/** @throws HistogradError `usage` for an unknown name */
export function adapterRequest(value: unknown): AdapterRequest | undefined {
  return checkOptions(schema, { adapter: value }, 'The command line').adapter;
}
