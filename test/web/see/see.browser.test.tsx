import { describe, expect, test, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { colourTable } from '../../../src/web/see/colour-maps.ts';
import { binOf } from '../../../src/web/see/colour-scale.ts';
import { layersOf } from '../../../src/web/see/layers.ts';
import { FIRST_LOOK } from '../../../src/web/see/map-controls.tsx';
import { covered, freshPage, leave, mountSee, overlay, pixel } from './mount.tsx';

freshPage();

const text = (content: string | RegExp) => page.getByText(content);
const mode = (name: string) => page.getByRole('radio', { name, exact: true });
const title = () => page.getByRole('region', { name: 'Map' }).getByRole('heading').first();
const readout = () => document.querySelector('.see-centre .see-readout');
const map = () => page.getByRole('application', { name: /section|slide/ });
const plot = () => page.getByRole('application', { name: /Predicted against measured/ });
const drawn = (panel = 0) =>
  vi.waitFor(() => expect(covered(overlay(panel))).toBeGreaterThan(0.1), 10_000);
const count = (calls: readonly string[], name: string) =>
  calls.filter((call) => call === name).length;

describe('map', () => {
  test('opens with the best gene on a test slide; a place has the colour of its value', async () => {
    const { engine, errors } = mountSee({ places: 1, kind: 'slides' });
    await expect
      .element(page.getByRole('heading', { name: 'GENE-1 simulated data' }))
      .toBeVisible();
    await expect.element(page.getByRole('combobox', { name: 'Slide' })).toHaveValue('slide-4');
    await drawn();
    const answer = await engine.map('slide-4', 'GENE-1');
    const [layer] = layersOf('predicted', answer, undefined, 'x', FIRST_LOOK);
    const colour = colourTable('viridis')[binOf(layer!.values[0]!, layer!.scale)]!;
    expect(pixel(overlay(), 0.5, 0.5)).toEqual([...colour.match(/\d+/g)!.map(Number), 255]);
    expect(errors).toEqual([]);
  });

  test('two maps side by side show the same part of the slide', async () => {
    mountSee();
    await drawn();
    await mode('Side by side').click();
    await drawn(1);
    const bars = () =>
      [...document.querySelectorAll<HTMLElement>('.see-scale-line')].map((bar) => bar.style.width);
    // All of the slide in each: 2048 pixels are 1024 µm, the bar is 200 µm.
    const width = document.querySelector('.see-map')!.clientWidth;
    await expect.element(text('200 µm').first()).toBeVisible();
    await vi.waitFor(() => {
      for (const bar of bars()) expect(Number.parseFloat(bar)).toBeCloseTo((width * 200) / 1024, 1);
    });
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await vi.waitFor(() => {
      expect(bars()).toHaveLength(2);
      expect(bars()[0]).toBe(bars()[1]);
    });
    await expect
      .element(page.getByRole('img', { name: /Colour legend: Measured GENE-1, in log2/ }))
      .toBeVisible();
  });

  test('every view changes what is drawn and its legend', async () => {
    mountSee();
    await drawn();
    for (const [view, legend] of [
      ['Measured', /: Measured GENE-1/],
      ['Blend', /GENE-1: 50 % predicted, 50 % measured/],
      ['Difference', /Predicted − measured GENE-1/],
      ['Attention', /: Attention, in × average/],
    ] as const) {
      const before = overlay().toDataURL();
      await mode(view).click();
      await expect.element(page.getByRole('img', { name: legend })).toBeVisible();
      await vi.waitFor(() => expect(overlay().toDataURL()).not.toBe(before));
    }
  });

  test('filled, outlines, tissue only; opacity', async () => {
    mountSee();
    await drawn();
    const filled = covered(overlay());
    await page.getByRole('combobox', { name: 'Spots' }).selectOptions('Outlines');
    await vi.waitFor(() => expect(covered(overlay())).toBeLessThan(filled * 0.8));
    await page.getByRole('combobox', { name: 'Spots' }).selectOptions('Tissue only');
    await vi.waitFor(() => expect(covered(overlay())).toBe(0));
    await expect.element(page.getByRole('slider', { name: 'Opacity' })).toBeDisabled();
  });

  test('a slide without a picture still has its map, and a bar in pixels', async () => {
    const { engine } = mountSee({ picture: false, mpp: null });
    await drawn();
    await expect.element(text(/^\d+ px$/)).toBeVisible();
    expect(engine.calls).not.toContain('pictureTile');
  });

  test('by keyboard: zoom, and from place to place with its values read aloud', async () => {
    mountSee();
    await drawn();
    const bar = () => document.querySelector('.see-scale-bar')?.textContent;
    const before = bar();
    map().element().focus();
    await userEvent.keyboard('+++');
    await vi.waitFor(() => expect(bar()).not.toBe(before));
    await userEvent.keyboard('0');
    await vi.waitFor(() => expect(bar()).toBe(before));
    await userEvent.keyboard('{Shift>}{ArrowRight}{ArrowRight}{/Shift}');
    await vi.waitFor(() =>
      expect(readout()?.textContent).toMatch(
        /^spot 13x12predicted [\d.]+ log2.*measured .*difference/,
      ),
    );
    expect(readout()?.getAttribute('aria-live')).toBe('polite');
    await userEvent.keyboard('{Escape}');
    await expect.element(text(/Point at a spot/)).toBeVisible();
  });

  test('the pointer reads values; a click keeps the place and shows it in the plot', async () => {
    mountSee();
    await drawn();
    await expect.element(plot()).toBeVisible();
    const target = document.querySelector('.see-map')!;
    const box = target.getBoundingClientRect();
    // The first spot: the picture is as high as the map, and in its middle.
    const clientX = box.left + box.width / 2 - box.height / 2 + box.height / 48;
    const clientY = box.top + box.height / 48;
    const point = (type: string, at: PointerEventInit) =>
      target.dispatchEvent(new PointerEvent(type, { bubbles: true, ...at }));
    point('pointermove', { clientX, clientY });
    await vi.waitFor(() => expect(readout()?.textContent).toMatch(/^spot 0x0predicted/));
    expect(readout()?.getAttribute('aria-live')).toBe('off');
    point('pointerdown', { clientX, clientY });
    point('pointerup', { clientX, clientY });
    point('pointermove', { clientX: box.left + 4, clientY });
    await vi.waitFor(() => expect(readout()?.getAttribute('aria-live')).toBe('polite'));
    expect(readout()?.textContent).toMatch(/^spot 0x0predicted/);
    expect(document.querySelector('.see-scatter output')?.textContent).toMatch(
      /^section-4\/0x0 meas/,
    );
  });
});

describe('genes', () => {
  test('arrow keys change the gene; of many quick changes only the last is computed', async () => {
    const { engine } = mountSee();
    await drawn();
    const release = engine.hold('map');
    const before = count(engine.calls, 'map');
    page.getByRole('grid').element().focus();
    await userEvent.keyboard('{ArrowDown}{ArrowDown}{ArrowDown}{ArrowDown}{ArrowDown}');
    await expect.element(title()).toHaveTextContent(/^GENE-7/);
    release();
    await expect.element(page.getByRole('img', { name: /Predicted GENE-7/ })).toBeVisible();
    expect(count(engine.calls, 'map') - before).toBe(2);
  });

  test('20,000 genes: only those in sight are rendered, and the end is reached', async () => {
    mountSee({ genes: 20_000 });
    await drawn();
    expect(page.getByRole('row').elements().length).toBeLessThan(80);
    page.getByRole('grid').element().focus();
    await userEvent.keyboard('{End}');
    // The gene without a score is last.
    await expect.element(page.getByRole('row', { name: /^GENE-4 / })).toBeVisible();
    await expect.element(title()).toHaveTextContent(/^GENE-4\D/);
    await expect.element(text(/No correlation is defined/)).toBeVisible();
  });

  test('search and sort', async () => {
    mountSee();
    await page.getByRole('searchbox', { name: 'Search genes' }).fill('gene-2');
    await expect.element(page.getByRole('grid')).toHaveAttribute('aria-rowcount', '7');
    await userEvent.keyboard('{Enter}');
    await expect.element(title()).toHaveTextContent(/^GENE-2/);
    await page.getByRole('searchbox').fill('nothing');
    await expect.element(text('No gene’s name contains “nothing”.')).toBeVisible();
    await page.getByRole('searchbox').fill('');
    const byName = page.getByRole('columnheader', { name: 'Gene' });
    await byName.getByRole('button').click();
    await expect.element(byName).toHaveAttribute('aria-sort', 'ascending');
    await byName.getByRole('button').click();
    await expect.element(page.getByRole('row').nth(2)).toHaveTextContent('GENE-24');
  });

  test('the headline says over what, what could be reached, and what is uncertain', async () => {
    mountSee({ kind: 'slides', samples: 12, part: 'all' });
    const genes = page.getByRole('region', { name: 'Genes' });
    await expect.element(genes).toHaveTextContent(/0\.40 mean r.*0\.71 reachable/);
    await expect.element(genes).toHaveTextContent('over all 12 slides');
    await expect.element(genes).toHaveTextContent('the scores may be too good');
    await expect.element(genes).toHaveTextContent('Only 12 slides');
    await expect.element(genes).toHaveTextContent('1 gene without a score');
  });
});

describe('plot', () => {
  test('a point leads to its slide and place', async () => {
    mountSee();
    await drawn();
    await page.getByRole('combobox', { name: 'Section' }).selectOptions('section-1');
    await expect.element(plot()).toBeVisible();
    plot().element().focus();
    await userEvent.keyboard('{ArrowRight}');
    const shown = document.querySelector('.see-scatter output b')?.textContent;
    expect(shown).toMatch(/^section-4\/\d+x\d+$/);
    await userEvent.keyboard('{Enter}');
    await expect.element(page.getByRole('combobox', { name: 'Section' })).toHaveValue('section-4');
    await vi.waitFor(() =>
      expect(readout()?.textContent).toContain(`spot ${shown?.split('/')[1]}predicted`),
    );
  });
});

describe('what is not there', () => {
  test('models of whole slides: said plainly, with the values of the slide', async () => {
    mountSee({ kind: 'slides', wholeSlideOnly: true, attention: false });
    await expect.element(text(/This model predicts whole slides only/)).toBeVisible();
    await expect.element(text(/^The whole slide: ?predicted/)).toBeVisible();
    await expect.element(page.getByRole('button', { name: 'Map (PNG)' })).toBeDisabled();
    await expect.element(page.getByRole('button', { name: 'Map (CSV)' })).toBeDisabled();
    await mode('Attention').click();
    await expect.element(text(/it has no attention/)).toBeVisible();
  });

  test('without truth: no scores and no plot, but maps', async () => {
    mountSee({ kind: 'unlabelled', samples: 0, slides: 1, simulated: false });
    await drawn();
    await expect.element(text(/come without measured expression/)).toBeVisible();
    await expect.element(page.getByRole('button', { name: 'Report (HTML)' })).toBeDisabled();
    await expect.element(page.getByRole('columnheader')).toHaveTextContent('Gene');
    expect(document.querySelector('.see-scatter')).toBeNull();
    await mode('Measured').click();
    await expect.element(text(/is known for the whole slide at most/)).toBeVisible();
  });

  test('an error is told to the page and beside the map, and tried again', async () => {
    const { errors } = mountSee({}, (engine) =>
      engine.fail('map', { code: 'device-lost', problem: 'The device is gone.' }),
    );
    await expect.element(text(/The map could not be computed: The device is gone/)).toBeVisible();
    expect(errors).toEqual([
      { code: 'device-lost', problem: 'The device is gone.', advice: 'Try again.' },
    ]);
    await page.getByRole('button', { name: 'Try again' }).click();
    await drawn();
  });

  test('a picture that cannot be read is told once, and the map is there', async () => {
    const { errors, engine } = mountSee({}, (engine) =>
      engine.fail('pictureTile', { problem: 'The tile is damaged.' }, true),
    );
    await drawn();
    await vi.waitFor(() => expect(count(engine.calls, 'pictureTile')).toBeGreaterThan(1));
    expect(errors.map(({ problem }) => problem)).toEqual(['The tile is damaged.']);
  });

  test('what fails after the screen was left is nobody’s concern', async () => {
    const { errors, engine } = mountSee();
    const release = engine.hold('pictureTile');
    engine.fail('pictureTile', { problem: 'No such slide.' }, true);
    await vi.waitFor(() => expect(count(engine.calls, 'pictureTile')).toBeGreaterThan(0));
    leave();
    release();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(errors).toEqual([]);
  });

  test('tiles of the picture are closed when they have been copied', async () => {
    const closed = vi.spyOn(ImageBitmap.prototype, 'close');
    const { engine } = mountSee();
    await drawn();
    await vi.waitFor(() => {
      expect(count(engine.calls, 'pictureTile')).toBeGreaterThan(1);
      expect(closed.mock.calls).toHaveLength(count(engine.calls, 'pictureTile'));
    });
    closed.mockRestore();
  });

  test('without scores, genes can still be seen', async () => {
    const { errors } = mountSee({}, (engine) => engine.fail('scores'));
    await drawn();
    await expect.element(text(/The scores could not be computed/)).toBeVisible();
    expect(errors).toHaveLength(1);
  });
});
