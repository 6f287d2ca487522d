import Table from 'cli-table3';
import { type BenchResult, boundBy, floorOf, type Run } from './run.ts';

/** The results as a table: times, share of the floor, and ratios to the peers and to an earlier run. */
export function benchTable({ results, ceilings }: Run, before: Run | null): string {
  const peers = [...new Set(results.flatMap((result) => Object.keys(result.peers)))];
  const table = new Table({
    head: [
      'work',
      'median',
      'quartiles',
      'first',
      'rate',
      'of floor',
      'dispatches',
      ...peers,
      ...(before ? ['before'] : []),
    ],
    style: { head: [], border: [] },
  });
  for (const result of results) {
    const { median, quartiles, first } = result.timing;
    const old = before?.results.find(({ id }) => id === result.id);
    table.push([
      result.name,
      milliseconds(median),
      quartiles.map(milliseconds).join(' … '),
      milliseconds(first),
      rate(result, median, ceilings),
      `${((100 * floorOf(result, ceilings)) / median).toFixed(0)} %`,
      String(result.dispatches),
      ...peers.map((peer) => ratio(result.peers[peer]?.median, median)),
      ...(before ? [ratio(old?.timing.median, median)] : []),
    ]);
  }
  return table.toString();
}

function rate(result: BenchResult, seconds: number, ceilings: Run['ceilings']): string {
  return boundBy(result, ceilings) === 'compute'
    ? `${(result.flops / seconds / 1e9).toFixed(1)} GFLOP/s`
    : `${(result.bytes / seconds / 1e9).toFixed(1)} GB/s`;
}

/** How many times as long the other takes. */
function ratio(other: number | undefined, own: number): string {
  return other === undefined ? '' : `${milliseconds(other)}, ${(other / own).toFixed(1)}x`;
}

function milliseconds(seconds: number): string {
  const ms = 1000 * seconds;
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}
