/** What `--tune` found, adapter by adapter. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Html, html } from '../src/report/html.ts';
import { table } from './report-tables.ts';
import { parseResult } from './run.ts';

/** Of a stored tuning, what is shown. */
const record = z.object({
  key: z.object({ adapter: z.string(), driver: z.string() }),
  date: z.string(),
  choices: z.array(
    z.object({
      knob: z.string(),
      value: z.unknown(),
      gain: z.number(),
      candidates: z.array(z.object({ problem: z.string().optional() })),
    }),
  ),
});
type Tuned = z.infer<typeof record>;

/** @param folder of the stored tunings, which need not be there */
export function tuningSection(folder: string): Html | '' {
  if (!existsSync(folder)) return '';
  const tunings = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => parseResult(record, readFileSync(join(folder, name), 'utf8'), name));
  if (tunings.length === 0) return '';
  return html`<section><h2>Tunings found</h2>
<p>What <code>npm run bench -- --tune</code> found: of each choice the fastest of all ways that give the same numbers, if it is more than 5 % ahead of the pinned
one in two races. Every time is in <code>kernels-bench/results/tunings/</code>. None is taken unasked.</p>
${tunings.map(tuningTable)}</section>`;
}

function tuningTable({ key, date, choices }: Tuned): Html {
  const better = choices.filter(({ gain }) => gain > 1).length;
  const row = ({ knob, value, gain, candidates }: Tuned['choices'][number]) =>
    html`<tr><th scope="row">${knob}</th><td class="prose">${gain > 1 ? JSON.stringify(value) : 'as pinned'}</td><td>${gain > 1 ? `${gain.toFixed(2)}×` : ''}</td><td>${String(candidates.length)}</td>
<td>${String(candidates.filter(({ problem }) => problem !== undefined).length)}</td></tr>`;
  return table(
    [key.adapter, 'Chosen', 'Times as fast', 'Ways', 'Of which refused'],
    choices.map(row),
    `${better} of ${choices.length} choices are faster than pinned. Driver: ${key.driver}; ${date.slice(0, 10)}. Refused: other numbers than those of the pinned way, or not to be run here.`,
  );
}
