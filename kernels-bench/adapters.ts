/** The adapters of this machine, by the names that `--adapter` takes, and which of them is measured. */
import pc from 'picocolors';
import { ADAPTER_REQUESTS, type ChosenAdapter, searchAdapter } from '../src/gpu/adapter.ts';

/** One line per kind of adapter. Of several GPUs, the one that the drivers call the fastest. */
export async function adapterLines(used: ChosenAdapter): Promise<string[]> {
  const lines: string[] = [];
  for (const request of ADAPTER_REQUESTS.filter((name) => name !== 'auto')) {
    const { chosen, tried } = await searchAdapter(request);
    const found = chosen?.name ?? tried.map(({ what, result }) => `${what}: ${result}`).join('; ');
    const line = `${request.padEnd(12)} ${found}`;
    const measured = chosen?.name === used.name;
    lines.push(measured ? `${line}  <- measured, ${used.why}` : pc.dim(line));
  }
  return lines;
}
