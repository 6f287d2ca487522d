import { describe, expect, it, vi } from 'vitest';
import { RunProgress } from '../../src/cli/progress.ts';
import { scoreNotes, scoreTable } from '../../src/cli/score-table.ts';
import { renderReport } from '../../src/report/report.ts';
import type { ReportData } from '../../src/report/types.ts';
import { summarise } from '../../src/training/run-results.ts';

const fold = (name: string, slides: number) => ({
  name,
  slides: Array.from({ length: slides }, (_, i) => `${name}-${i}`),
  observed: Float32Array.from({ length: slides }, (_, i) => i),
  predicted: Float32Array.from({ length: slides }, (_, i) => 1e12 * i),
});

const data: ReportData = {
  title: 'T',
  command: 'c',
  environment: {},
  config: {},
  genes: ['G'],
  models: [
    {
      name: 'Wild',
      regime: 'all genes',
      parameters: 1,
      seconds: 1,
      modelsTrained: 3,
      baselineMse: 0.5,
      curves: [],
      folds: [fold('fold-0', 4), fold('fold-1', 3), fold('fold-2', 2)],
    },
  ],
};

describe('scoreTable and its notes', () => {
  it('name the folds without a correlation, and models worse than the training mean', () => {
    expect(scoreNotes(summarise(data))).toEqual([
      'r over 2 of 3 folds: fold-2 has 2 slides',
      'Predicting the training mean: MSE 0.500; worse than that: Wild',
    ]);
    const report = renderReport(data).replace(/<[^>]*>/g, '');
    expect(report).toContain('r over 2 of 3 folds: fold-2 has 2 slides.');
    expect(report).toContain('training mean has an MSE of 0.500');
  });

  it('give training times, and none of a model that came trained', () => {
    expect(scoreTable(summarise(data))).toContain('Training time');
    const [model] = data.models;
    const evaluated = { ...data, models: [{ ...model!, seconds: 0, modelsTrained: 0 }] };
    expect(scoreTable(summarise(evaluated))).not.toMatch(/time| ms /);
    const report = renderReport(evaluated);
    expect(report).not.toMatch(/Training time|Models trained/);
    expect(renderReport(data)).toMatch(/Training time[\s\S]*Models trained/);
  });

  it('print huge errors in few digits', () => {
    expect(scoreTable(summarise(data))).toMatch(/2\.2 × 10²⁴/);
  });
});

describe('RunProgress', () => {
  it.skipIf(process.stderr.isTTY)('logs the end of an epoch only after 30 silent seconds', () => {
    vi.useFakeTimers();
    try {
      const lines: string[] = [];
      const progress = new RunProgress(10, true, (text) => lines.push(text));
      const end = (epoch: number) => {
        const point = { step: epoch, epoch, validationPearson: 0.25 };
        const news = {
          epoch,
          epochs: 9,
          step: epoch,
          totalSteps: 10,
          peakBytes: 0,
          loss: 0.5,
          point,
        };
        progress.update('m fold-0', news);
      };
      end(1);
      vi.advanceTimersByTime(31_000);
      end(2);
      end(3);
      expect(lines).toEqual(['m fold-0: epoch 2 of 9, loss 0.500, validation r 0.250']);
    } finally {
      vi.useRealTimers();
    }
  });
});
