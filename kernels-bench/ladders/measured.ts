/** The tables of the essays, made from the stored results, so that no essay says what nobody measured. */
import { HistogradError } from '../../src/errors.ts';
import { ratioDown } from '../ratio.ts';
import { floorOf, workQuartiles, workSeconds } from '../run.ts';
import { commitOf, moment, rangeOf } from '../stored.ts';
import type { LadderRun } from './climb.ts';

const BEGIN = '<!-- measured: written by npm run bench -- --report from results/ladders/ -->';
const END = '<!-- /measured -->';

/**
 * The essay with these times between its two marks, in the place of those that stood there.
 *
 * @param runs of this ladder, one for each adapter
 * @throws HistogradError `bench-file` when the essay lacks a mark
 */
export function withMeasured(essay: string, runs: readonly LadderRun[], file: string): string {
  const [before, rest] = halves(essay, BEGIN);
  const [, after] = halves(rest ?? '', END);
  if (rest === undefined || after === undefined) {
    throw new HistogradError(
      'bench-file',
      `${file} does not say where its times belong.`,
      `Put these two lines there: ${BEGIN} and ${END}`,
    );
  }
  const tables = runs.length > 0 ? runs.map(measured).join('\n') : 'Not timed yet.\n';
  return `${before}${BEGIN}\n\n${tables}\n${END}${after}`;
}

function halves(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + mark.length)];
}

function measured(run: LadderRun): string {
  const { rungs, ceilings, environment, ...cost } = run;
  const floor = floorOf(cost, ceilings);
  const times = rungs.map(workSeconds);
  const rounds = rangeOf(rungs.map(({ timing }) => timing.rounds));
  const rows = rungs.map(({ name, timing }, i) => {
    const time = times[i]!;
    return [
      name,
      digits(time),
      timing.rounds > 2 ? workQuartiles(timing).map(digits).join(' … ') : '', // two times have no quartiles
      `${((100 * floor) / time).toFixed(time < 20 * floor ? 0 : 1)} %`,
      i > 0 ? ratioDown(times[i - 1]! / time) : '',
    ];
  });
  const onGpu = rungs.some(({ timing }) => timing.gpu !== null);
  const { adapter, cpu, cores } = environment;
  const machine = [adapter, cpu, cores && `${cores} cores`].filter(Boolean).join(', ');
  const head = ['rung', 'median, ms', 'middle half', 'of the floor', 'gain'];
  return `${machine}; ${moment(run)}, commit ${commitOf(run)}; ${rounds} rounds in turns${onGpu ? '; by timestamps of the GPU, or by the clock what takes a second and more' : ', by the clock'}.\n\n${markdownTable([head, ...rows])}`;
}

/** Milliseconds with three digits. */
function digits(seconds: number): string {
  const ms = 1000 * seconds;
  return ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3);
}

function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |\n`;
  const [head, ...body] = rows;
  return [head!, widths.map((width) => '-'.repeat(width)), ...body].map(line).join('');
}
