import { diagnose, formatDiagnosis } from '../gpu/doctor.ts';
import { adapterRequest } from './adapter-request.ts';

/** `histograd doctor`. */
export async function doctorCommand(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const diagnosis = await diagnose(adapterRequest(flags.adapter));
  const text = flags.json ? JSON.stringify(diagnosis, undefined, 2) : formatDiagnosis(diagnosis);
  process.stdout.write(`${text.trimEnd()}\n`);
  if (!diagnosis.ok) process.exitCode = 1;
}
