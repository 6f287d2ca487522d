import { parseHTML } from 'linkedom';
import { beforeAll, describe, expect, it } from 'vitest';
import { evaluatePredictions } from '../../src/metrics/evaluate.ts';
import { findPam50 } from '../../src/metrics/pam50.ts';
import { formatFixed, formatInteger, formatSignificant } from '../../src/report/format.ts';
import { type ReportData, renderReport } from '../../src/report/report.ts';
import { example, SOME_PAM50, SPECS } from './example.ts';

/** The part of a DOM element that these tests read. */
interface Element {
  readonly textContent: string;
  readonly outerHTML: string;
  readonly localName: string;
  readonly attributes: Iterable<{ name: string; value: string }>;
  querySelector(selector: string): Element | null;
  querySelectorAll(selector: string): Iterable<Element>;
}

const open = (page: string): Element => parseHTML(page).document.documentElement;
const all = (root: Element, selector: string): Element[] => [...root.querySelectorAll(selector)];
const texts = (root: Element, selector: string): string[] =>
  all(root, selector).map((element) => element.textContent.trim());

/** The figure whose caption holds `text`. */
function captioned(page: Element, text: string): Element | undefined {
  return all(page, 'figure').find((figure) =>
    figure.querySelector('figcaption')?.textContent.includes(text),
  );
}

function rows(table: Element | undefined): string[][] {
  expect(table).toBeDefined();
  return all(table!, 'tbody tr').map((row) => texts(row, 'th, td'));
}

/** What must hold for every report: nothing loaded from elsewhere, no script, no number that is none. */
function expectSound(source: string): Element {
  const page = open(source);
  expect(all(page, 'script, link, img, iframe, object, embed, use, image, base, form')).toEqual([]);
  for (const element of all(page, '*')) {
    for (const { name, value } of element.attributes) {
      expect(['src', 'srcset', 'href', 'xlink:href', 'data', 'action']).not.toContain(name);
      expect(name).not.toMatch(/^on/);
      if (name === 'aria-label' || name === 'content') continue;
      expect(value).not.toMatch(/NaN|undefined|Infinity|url\(/);
    }
  }
  for (const style of all(page, 'style')) {
    expect(style.textContent).not.toMatch(/@import|url\(|https?:/);
  }
  expect(page.querySelector('body')!.textContent).not.toMatch(/NaN|undefined|Infinity|\[object/);
  return page;
}

const GENES = [...SOME_PAM50, ...Array.from({ length: 60 }, (_, i) => `GENE${i}`)];

describe('a complete report', () => {
  let data: ReportData;
  let page: Element;
  let source: string;
  beforeAll(() => {
    data = example(GENES, SPECS);
    data.simulated = { reachableMeanPearson: 0.583, note: 'Rendered tiles.' };
    source = renderReport(data);
    page = expectSound(source);
  });

  it('has a headline table equal to evaluatePredictions', () => {
    const table = captioned(page, 'Test scores by model');
    const found = rows(table);
    const times = ['1 min 24 s', '41 s', '2 min 13 s', '0.40 s', '1.20 s'];
    const parameters = ['920 k', '640 k', '1.45 M', '0', '64.0 k'];
    expect(found).toHaveLength(SPECS.length);
    data.models.forEach((model, i) => {
      const scores = evaluatePredictions({ genes: data.genes, folds: model.folds });
      const significant = scores.pooled.q.filter(
        (q, g) => q < 0.05 && scores.pooled.pearson[g]! > 0,
      );
      const row = found[i]!;
      expect(row[0]).toBe(model.name);
      expect(row[1]).toMatch(/^-?[\d.]+ ± 0\.\d{3}$/);
      expect(row[1]!.split(' ')[0]).toBe(formatFixed(scores.meanPearson));
      expect(row.slice(2)).toEqual([
        formatInteger(scores.genesAbove),
        formatInteger(significant.length),
        formatFixed(scores.pam50.meanPearson),
        formatSignificant(scores.mse),
        parameters[i],
        times[i],
      ]);
    });
    // The best mean is bold, and only that one.
    const means = data.models.map(
      (model) => evaluatePredictions({ genes: data.genes, folds: model.folds }).meanPearson,
    );
    const bold = all(table!, 'tbody tr').map((row) => all(row, 'td')[0]?.querySelector('b'));
    expect(bold.map((mark) => mark !== null)).toEqual(means.map((r) => r === Math.max(...means)));
    expect(texts(table!, 'tfoot th, tfoot td').slice(0, 2)).toEqual(['Reachable score', '0.583']);
  });

  it('says that the data are simulated and draws the reachable score', () => {
    const banner = page.querySelector('.banner')!.textContent;
    expect(banner).toContain('Simulated data.');
    expect(banner).toContain('Rendered tiles.');
    expect(banner).toContain('0.583');
    expect(texts(captioned(page, 'Mean Pearson correlation over genes')!, 'svg text')).toContain(
      'reachable 0.58',
    );
  });

  it('tabulates PAM50 genes by model, under current symbols, and lists those missing', () => {
    const table = captioned(page, 'PAM50 genes')!;
    const found = new Map(rows(table).map((row) => [row[0], row.slice(1)]));
    expect(found.size).toBe(14);
    const column = GENES.indexOf('CDCA1');
    expect(found.get('NUF2')).toEqual(
      data.models.map((model) =>
        formatFixed(evaluatePredictions({ genes: GENES, folds: model.folds }).pearson[column]!, 2),
      ),
    );
    expect(table.querySelector('.note')!.textContent).toMatch(/: ACTR3B, ANLN, .*UBE2T\.$/);
  });

  it.each([
    ['expression', 'Observed expression'],
    ['log2(1 + expression)', 'Observed log2(1 + expression)'],
    [undefined, 'Observed expression'],
  ])('says what %s is once', (expressionUnit, label) => {
    const { expressionUnit: _, ...other } = data;
    const named = open(renderReport(expressionUnit ? { ...other, expressionUnit } : other));
    expect(texts(named, 'svg text')).toContain(label);
  });

  it('has one loss panel per trained model, with a line per fold and their mean', () => {
    const figure = captioned(page, 'Loss during training')!;
    expect(texts(figure, '.panel h4')).toEqual([
      'Direct-ABMIL',
      'Direct-Patch-Level',
      'Contrastive',
    ]);
    // Three folds and a mean, for training and for validation.
    expect(all(figure, '.panel g[aria-label="line"]')).toHaveLength(3 * 8);
    expect(texts(figure, 'svg text')).toContain('Loss (InfoNCE)');
    expect(texts(figure, 'svg text')).toContain('Epoch');
    expect(figure.textContent).toContain('Not trained by steps: kNN, Ridge (floor)');
  });

  it('counts every gene once in the histogram of each model', () => {
    const figure = captioned(page, 'Per-gene Pearson correlation')!;
    expect(texts(figure, 'svg text')).toEqual(
      expect.arrayContaining(SPECS.map(({ name }) => name)),
    );
    // All rows share a scale, so that the same number of genes is the same total height of bars.
    const totals = all(figure, 'g[aria-label="rect"] > g').map((row) =>
      all(row, 'rect')
        .flatMap((bar) => [...bar.attributes])
        .reduce((sum, { name, value }) => (name === 'height' ? sum + Number(value) : sum), 0),
    );
    expect(totals).toHaveLength(SPECS.length);
    for (const total of totals) expect(total / totals[0]!).toBeCloseTo(1, 3);
    expect(captioned(page, 'Number of genes predicted above')).toBeDefined();
  });

  it('plots the best and the median gene of the best model, a dot per slide', () => {
    const scores = data.models.map((model) =>
      evaluatePredictions({ genes: GENES, folds: model.folds }),
    );
    const best = scores.reduce((a, b) => (b.meanPearson > a.meanPearson ? b : a));
    const order = [...best.pearson.keys()].sort((a, b) => best.pearson[a]! - best.pearson[b]!);
    const figure = captioned(page, 'one dot per test slide')!;
    expect(figure.textContent).toContain(`by ${SPECS[scores.indexOf(best)]!.name}`);
    const [top, middle] = [order.at(-1)!, order[(GENES.length - 1) / 2]!];
    expect(texts(figure, 'h4')).toEqual([
      `Best gene: ${GENES[top]}, r = ${formatFixed(best.pearson[top]!, 2)}`,
      `Median gene: ${GENES[middle]}, r = ${formatFixed(best.pearson[middle]!, 2)}`,
    ]);
    for (const panel of all(figure, '.panel')) {
      expect(all(panel, 'circle')).toHaveLength(42);
      expect(texts(panel, 'svg text')).toContain('Observed expression, log2(1 + count)');
    }
    expect(texts(figure, 'circle title')).toContain('slide-2-7');
    expect(texts(figure, '.legend li')).toEqual(['fold 1', 'fold 2', 'fold 3']);
  });

  it('has cost, command, environment and configuration', () => {
    const cost = rows(captioned(page, 'Cost of each model'));
    expect(cost[0]).toEqual([
      'Direct-ABMIL',
      'all genes',
      '3',
      '920 k',
      '1 min 24 s',
      '1.12 s',
      '172 MiB',
      rows(captioned(page, 'Test scores by model'))[0]![1]!.split(' ')[0],
    ]);
    expect(cost[3]).toContain('–');
    expect(texts(captioned(page, 'Training time and score')!, 'svg text')).toContain('1 min');
    expect(page.querySelector('pre')!.textContent).toBe(data.command);
    expect(rows(captioned(page, 'Environment'))).toContainEqual([
      'adapter',
      'llvmpipe (Mesa 25.0.7)',
    ]);
    expect(rows(captioned(page, 'Configuration'))).toEqual(
      expect.arrayContaining([
        ['optimiser.learningRate', '0.0001'],
        ['models', SPECS.map(({ name }) => name).join(', ')],
      ]),
    );
  });

  it('numbers figures and tables in order', () => {
    const numbers = texts(page, 'figcaption > b');
    for (const kind of ['Figure', 'Table']) {
      const own = numbers.filter((text) => text.startsWith(kind));
      expect(own).toEqual(own.map((_, i) => `${kind} ${i + 1}.`));
      expect(own.length).toBeGreaterThan(5);
    }
  });

  it('is the same file each time', () => {
    expect(renderReport(data)).toBe(source);
  });
});

describe('a report with pieces missing', () => {
  it('of one model, one gene, one fold, one epoch, no validation and no PAM50 gene', () => {
    const one = { ...SPECS[0]!, epochs: 1 };
    const data = example(['ONLY'], [one], { folds: 1, slides: 12, validation: false });
    const page = expectSound(renderReport(data));
    expect(page.querySelector('.banner')).toBeNull();
    const row = rows(captioned(page, 'Test scores by model'))[0]!;
    expect(row[1]).toBe(
      formatFixed(
        evaluatePredictions({ genes: ['ONLY'], folds: data.models[0]!.folds }).meanPearson,
      ),
    );
    expect(row[4]).toBe('–');
    expect(page.textContent).toContain('None of the PAM50 genes is in the expression table');
    expect(page.textContent).toContain('(none recorded)');
    expect(texts(page, 'h4')).toContainEqual(expect.stringMatching(/^Only gene: ONLY/));
    expect(captioned(page, 'Number of genes predicted above')).toBeUndefined();
    expect(captioned(page, 'Training time and score')).toBeUndefined();
    expect(texts(captioned(page, 'Loss during training')!, 'svg text')).toContain('Optimiser step');
    expect(all(page, 'td b')).toEqual([]);
  });

  it('of models without curves', () => {
    const page = expectSound(renderReport(example(GENES, SPECS.slice(3))));
    expect(page.textContent).toContain('No training curves were recorded.');
  });

  it('with undefined correlations in some genes', () => {
    const data = example(GENES, SPECS.slice(0, 2));
    for (const { folds } of data.models) {
      for (const fold of folds) {
        for (let i = 0; i < fold.observed.length; i += GENES.length) fold.observed[i] = 1;
      }
    }
    const page = expectSound(renderReport(data));
    expect(page.textContent).toContain('1 gene of 75 without a defined correlation is left out');
    expect(rows(captioned(page, 'PAM50 genes'))).toContainEqual(['ESR1', '–', '–']);
  });

  it('with one test slide per fold: falls back to the pooled correlation and says so', () => {
    const data = example(['A', 'B'], SPECS.slice(0, 2), { folds: 6, slides: 1 });
    const page = expectSound(renderReport(data));
    const { pooled } = evaluatePredictions({ genes: data.genes, folds: data.models[0]!.folds });
    const row = rows(captioned(page, 'Test scores by model'))[0]!;
    expect(row.slice(1, 4)).toEqual(['–', formatFixed(pooled.meanPearson), '–']);
    expect(page.textContent).toContain('No fold has three test slides');
    expect(page.textContent).toContain('No gene has a defined correlation');
    expect(captioned(page, 'Mean Pearson correlation over genes')).toBeUndefined();
  });

  it('with losses that went non-finite', () => {
    const data = example(GENES, SPECS.slice(0, 1));
    for (const curve of data.models[0]!.curves) {
      curve.points[5]!.trainLoss = Number.NaN;
      curve.points[7]!.validationLoss = Number.POSITIVE_INFINITY;
    }
    expectSound(renderReport(data));
  });

  it('of no model at all is refused', () => {
    expect(() => renderReport({ ...example(['A'], []), models: [] })).toThrow(
      expect.objectContaining({
        code: 'report-no-models',
        message: expect.stringContaining('at least one model'),
      }),
    );
  });
});

describe('names that are HTML', () => {
  it('are shown as text everywhere', () => {
    const evil = (tag: string): string =>
      `"'><script>alert("${tag}")</script><img src=x onerror=${tag}>&amp;`;
    const data = example(
      [evil('gene'), 'ESR1', 'B'],
      [{ ...SPECS[0]!, name: evil('model'), regime: evil('regime'), loss: evil('loss') }],
    );
    data.title = evil('title');
    data.command = evil('command');
    data.expressionUnit = evil('unit');
    data.environment = { [evil('key')]: evil('value') };
    data.config = { [evil('path')]: { [evil('leaf')]: evil('setting') } };
    data.simulated = { reachableMeanPearson: 0.5, note: evil('note') };
    for (const fold of data.models[0]!.folds) {
      fold.slides = fold.slides.map((_, i) => evil(`slide${i}`));
      fold.name = evil(fold.name);
    }
    const page = expectSound(renderReport(data));
    expect(page.querySelector('h1')!.textContent).toBe(data.title);
    expect(page.querySelector('pre')!.textContent).toBe(data.command);
    expect(page.textContent).toContain(evil('gene'));
    expect(texts(page, 'svg title')).toContain(evil('slide3'));
    expect(rows(captioned(page, 'Configuration'))).toEqual([
      [`${evil('path')}.${evil('leaf')}`, evil('setting')],
    ]);
  });
});

describe('long names that start alike', () => {
  it('keep a row each in the figures', () => {
    const names = ['one', 'two'].map(
      (end) => `A model with a rather long name, configuration ${end}`,
    );
    const page = open(
      renderReport(
        example(
          GENES,
          names.map((name) => ({ ...SPECS[0]!, name })),
        ),
      ),
    );
    for (const caption of ['Mean Pearson correlation over genes', 'Per-gene Pearson correlation']) {
      expect(
        texts(captioned(page, caption)!, 'svg text').filter((text) => text.startsWith('A model')),
      ).toEqual([
        'A model with a rather long name, … (1)',
        'A model with a rather long name, … (2)',
      ]);
    }
    expect(rows(captioned(page, 'Test scores by model')).map((row) => row[0])).toEqual(names);
  });
});

describe('a report of 20,530 genes and three gene regimes', () => {
  it('stays small and names the regimes', () => {
    const genes = [...findPam50([]).missing, ...Array.from({ length: 20_480 }, (_, i) => `G${i}`)];
    const regimes = ['all genes', 'chunks of 256', 'per gene'].map((regime, i) => ({
      ...SPECS[0]!,
      regime,
      seconds: 60 * 30 ** i,
      modelsTrained: [2, 162, 41_060][i]!,
    }));
    const source = renderReport(example(genes, [...regimes, SPECS[4]!], { folds: 2, slides: 4 }));
    expect(source.length).toBeLessThan(300_000);
    const page = expectSound(source);
    expect(rows(captioned(page, 'Test scores by model')).map((row) => row[0])).toEqual([
      'Direct-ABMIL, all genes',
      'Direct-ABMIL, chunks of 256',
      'Direct-ABMIL, per gene',
      'Ridge (floor)',
    ]);
    const cost = rows(captioned(page, 'Cost of each model'));
    expect(cost.map((row) => row.slice(0, 3))).toEqual([
      ['Direct-ABMIL', 'all genes', '2'],
      ['Direct-ABMIL', 'chunks of 256', '162'],
      ['Direct-ABMIL', 'per gene', '41,060'],
      ['Ridge (floor)', 'all genes', '2'],
    ]);
    expect(rows(captioned(page, 'PAM50 genes'))).toHaveLength(50);
    expect(page.textContent).toContain('50 of 50 genes in the table');
  });

  it('draws a bounded number of dots for many slides', () => {
    const page = open(
      renderReport(example(['A', 'B'], SPECS.slice(0, 1), { folds: 5, slides: 1000 })),
    );
    const figure = captioned(page, 'one dot per test slide')!;
    expect(all(figure, 'svg circle').length).toBeLessThan(3100);
    expect(figure.textContent).toContain('(1,250 of 5,000 slides drawn)');
  });
});
