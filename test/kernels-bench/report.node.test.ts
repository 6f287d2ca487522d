/** The page of the benches, and the tables of the essays, from results that are made up; and that the stored ones are shown. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ladders } from '../../kernels-bench/ladders/all.ts';
import type { LadderRun } from '../../kernels-bench/ladders/climb.ts';
import { withMeasured } from '../../kernels-bench/ladders/measured.ts';
import type { PatchRun } from '../../kernels-bench/patches.ts';
import { ratioDown } from '../../kernels-bench/ratio.ts';
import { renderReport } from '../../kernels-bench/report.ts';
import { growth } from '../../kernels-bench/report-patches.ts';
import type { BenchResult, Run, Timing } from '../../kernels-bench/run.ts';
import { resultName } from '../../kernels-bench/save-result.ts';

const CEILINGS = { flops: 100e9, bandwidth: 10e9, matrixFlops: null };
const ENVIRONMENT = {
  adapter: 'llvmpipe: made up (system-software)',
  cpu: 'a processor',
  cores: '2',
  tuning: 'cpu (pinned for this kind of adapter)',
  toggles: 'enable-dawn-features=made_up',
  date: '2026-11-21T15:41:42.632Z',
  commit: '0123456789abcdef',
};

function timing(median: number, rounds = 7): Timing {
  const quartiles: [number, number] = [0.9 * median, 1.1 * median];
  return { median, quartiles, rounds, runs: 1, first: 10 * median, gpu: null };
}

function result(id: string, median: number, peers: Record<string, Timing> = {}): BenchResult {
  const counts = { dispatches: 1, submissions: 1, liveBytes: 0, peakBytes: 0, liveBytesFlat: true };
  return {
    id,
    name: `${id}, made up`,
    flops: 1e9,
    bytes: 1e6,
    timing: timing(median),
    peers,
    ...counts,
  };
}

const run = (results: BenchResult[], given: Record<string, string> = {}): Run => ({
  environment: { ...ENVIRONMENT, ...given },
  tuning: 'cpu',
  ceilings: CEILINGS,
  results,
});

const climbed: LadderRun = {
  environment: ENVIRONMENT,
  id: 'matmul',
  name: 'matmul, made up',
  flops: 1e9,
  bytes: 1e6,
  ceilings: CEILINGS,
  rungs: [
    { name: 'plain', changed: 'Nothing.', timing: timing(0.2) },
    { name: 'product: better', changed: 'All.', timing: timing(0.05, 3) },
  ],
};

const dispatched = {
  environment: ENVIRONMENT,
  dispatches: 170,
  submissions: 1,
  rounds: 200,
  eager: { least: 21.5, median: 23, quartiles: [22, 24] },
  captured: { least: 6.25, median: 7.5, quartiles: [7, 8] },
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bench-report-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function store(kind: string, name: string, content: unknown): void {
  mkdirSync(join(folder, 'results', kind), { recursive: true });
  writeFileSync(join(folder, 'results', kind, `${name}.json`), JSON.stringify(content));
}

/** The page without its tags and its style. */
function page(): string {
  const html = renderReport(folder).get('report.html')!;
  return html
    .replaceAll(/<style>.*?<\/style>/gs, '')
    .replaceAll(/<[^>]*>|\s+/g, ' ')
    .replaceAll(/ +/g, ' ');
}

describe('history', () => {
  it('sets two runs against each other, bench by bench', () => {
    const later = { date: '2026-11-22T09:00:00.000Z', commit: 'fedcba9876543210' };
    store('', 'b', run([result('add', 0.02), result('sum', 0.019)]));
    store('', 'a', run([result('add', 0.01), result('sum', 0.02), result('gelu', 0.01)], later));
    const text = page();
    expect(text).toContain(
      'Before: 2026-11-21 15:41 UTC, commit 012345678. Now: 2026-11-22 09:00 UTC, commit fedcba987. 2 runs in all.',
    );
    expect(text).toContain('add, made up 20 10 2.0× 100 %');
    expect(text).toContain('sum, made up 19 20 0.95× 50 %');
    expect(text).toContain('gelu, made up 10 new 100 %');
    const html = renderReport(folder).get('report.html')!;
    expect(html).toContain('<span class="spread">0.95×</span>'); // within the spread
    expect(html).not.toContain('<span class="spread">2.0×</span>');
    expect(html).toContain('aria-label="50 %, 100 %"');
  });

  it('is left out of a single run', () => {
    store('', 'a', run([result('add', 0.02)]));
    expect(page()).not.toContain('Before:');
  });

  it('loses no run of the same day', () => {
    const there = new Set<string>();
    const dates = [
      '2026-11-21T15:41:42.632Z',
      '2026-11-21T15:54:42.691Z',
      '2026-11-22T00:00:01.000Z',
    ];
    for (const date of dates) there.add(resultName('llvmpipe', date, (name) => there.has(name)));
    expect([...there]).toEqual([
      'llvmpipe-2026-11-21.json',
      'llvmpipe-2026-11-21T155442.json',
      'llvmpipe-2026-11-22.json',
    ]);
  });
});

describe('the page', () => {
  it('says how it was measured, and where each peer ran', () => {
    const peers = {
      'tfjs 4.22.0': timing(0.04998),
      'onnxruntime 1.30.0, CPU': timing(0.004, 3),
      'PyTorch 1.13.0a0, CPU': timing(0.005),
    };
    store('', 'a', run([result('layer-norm', 0.01, peers)]));
    const text = page();
    expect(text).toContain('Measured 2026-11-21 15:41 UTC, commit 012345678');
    expect(text).toContain('Dawn toggles enable-dawn-features=made_up');
    expect(text).toContain('They are those of this adapter');
    expect(text).toContain('Rounds 7 of ours.');
    expect(text).toMatch(/tfjs 4\.22\.0 In our process, on the same adapter\./);
    expect(text).toMatch(
      /onnxruntime 1\.30\.0, CPU In our process, on the processor, without an adapter/,
    );
    expect(text).toMatch(
      /PyTorch 1\.13\.0a0, CPU In a process of its own.*Its attention is two products and a softmax/,
    );
    // Median, middle half and rounds; the goal of five times is missed by a hair.
    expect(text).toContain('layer-norm, made up 10 9.0 … 11 7');
    expect(text).toContain('4.9× (5×, missed)');
    expect(text).toContain('4.0 (0.40×) 3.6 … 4.4, n 3');
  });

  it('shows what a dispatch costs', () => {
    store('dispatches', 'a', dispatched);
    expect(page()).toContain('replayed 6.3 7.5 7.0 … 8.0');
  });

  it('shows what tuning found', () => {
    const key = { adapter: 'a rasteriser', driver: 'made up 1.0' };
    const better = { knob: 'thread', value: { workgroup: 16 }, gain: 1.15, candidates: [{}, {}] };
    const same = { knob: 'copy', value: 1, gain: 1, candidates: [{}, { problem: 'too slow' }] };
    store('tunings', 'a', { key, date: '2026-11-21T16:00:00.000Z', choices: [better, same] });
    const text = page();
    expect(text).toContain('thread {&quot;workgroup&quot;:16} 1.15× 2 0 copy as pinned 2 1');
    expect(text).toContain(
      '1 of 2 choices are faster than pinned. Driver: made up 1.0; 2026-11-21.',
    );
  });

  it('names the file that is no result', () => {
    store('dispatches', 'a', { ...dispatched, captured: 'fast' });
    expect(page).toThrow(/dispatches.a\.json is not a result.*captured/s);
  });
});

it('rounds ratios down', () => {
  const rounded = [4.998, 5, 1.2, 0.0459, 0.999, 12.99, 129].map(ratioDown);
  expect(rounded).toEqual(['4.9', '5.0', '1.2', '0.045', '0.99', '12', '120']);
});

it('says to which power of the patches time grows', () => {
  const point = (patches: number, mode: 'whole' | 'streamed', median: number) => ({
    ...{ patches, mode, steps: 3, peakBytes: 0 },
    seconds: { median, least: median, most: median },
  });
  const sizes = [1e3, 1e4, 1e5];
  const points = [
    ...sizes.map((n) => point(n, 'whole', 3e-4 * n)),
    ...sizes.map((n) => point(n, 'streamed', 0.3 + 3e-4 * n)),
  ];
  const patches: PatchRun = {
    environment: {},
    ceilings: CEILINGS,
    width: 1,
    genes: 1,
    piece: 1,
    points,
  };
  expect(growth(patches)).toContain(
    'whole 1.00 (1.00 from 10,000 on), streamed 0.85 (0.96 from 10,000 on)',
  );
});

describe('essays', () => {
  const empty = withMeasured(
    'Before.\n\n<!-- measured: written by npm run bench -- --report from results/ladders/ -->\n<!-- /measured -->\n\nAfter.\n',
    [],
    'x.md',
  );

  it('get their times between the marks, and new times in their place', () => {
    const twice = withMeasured(withMeasured(empty, [climbed, climbed], 'x.md'), [climbed], 'x.md');
    expect(twice).toMatch(/^Before\.\n\n<!-- measured.*<!-- \/measured -->\n\nAfter\.\n$/s);
    expect(twice).toContain('commit 012345678; 3 to 7 rounds in turns, by the clock.');
    expect(twice).toContain('| product: better | 50.0       | 45.0 … 55.0 | 20 %         | 4.0  |');
    expect(twice.match(/\| plain /g)).toHaveLength(1);
    expect(withMeasured(twice, [], 'x.md')).toBe(empty);
  });

  it('without marks are named', () => {
    expect(() => withMeasured('No marks.', [climbed], 'x.md')).toThrow(/x\.md does not say/);
  });

  it('show what is stored', () => {
    const rendered = renderReport('kernels-bench');
    for (const { id } of ladders) {
      const name = `ladders/${id}.md`;
      expect(readFileSync(`kernels-bench/${name}`, 'utf8'), name).toBe(rendered.get(name));
    }
  });
});
