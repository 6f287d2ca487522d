/** Imported before anything that makes schemas: zod would try whether it may evaluate code, which the page's policy forbids and reports. */
import { config } from 'zod';

config({ jitless: true });
