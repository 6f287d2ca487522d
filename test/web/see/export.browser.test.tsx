import { describe, expect, test, vi } from 'vitest';
import { page } from 'vitest/browser';
import { colourTable, STEPS } from '../../../src/web/see/colour-maps.ts';
import { saveBlob } from '../../../src/web/see/save.ts';
import { covered, freshPage, mountSee, overlay } from './mount.tsx';

freshPage();

/** What the page hands to the browser to save, instead of saving it. */
function catchFiles(): { name: string; blob: Blob }[] {
  const files: { name: string; blob: Blob }[] = [];
  let last = new Blob();
  vi.spyOn(URL, 'createObjectURL').mockImplementation((blob) => {
    if (blob instanceof Blob) last = blob;
    return 'blob:caught';
  });
  vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function (
    this: HTMLAnchorElement,
  ) {
    files.push({ name: this.download, blob: last });
  });
  return files;
}

async function pixels(blob: Blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d')!;
  context.drawImage(bitmap, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const at = (x: number, y: number) => [
    ...data.slice(4 * (y * width + x), 4 * (y * width + x) + 3),
  ];
  return { width, height, at };
}

const rgb = (colour: string) => colour.match(/\d+/g)!.map(Number);

describe('files', () => {
  test('a picture at twice the size, with legend and the mark of simulated data', async () => {
    const files = catchFiles();
    mountSee();
    await vi.waitFor(() => expect(covered(overlay())).toBeGreaterThan(0.1), 10_000);
    const box = document.querySelector('.see-map')!.getBoundingClientRect();
    await page.getByRole('button', { name: 'Map (PNG)' }).click();
    await vi.waitFor(() => expect(files).toHaveLength(1), 10_000);
    expect(files[0]!.name).toBe('Simulated-cohort_section-4_GENE-1_predicted.png');
    expect(files[0]!.blob.type).toBe('image/png');
    const { width, height, at } = await pixels(files[0]!.blob);
    expect(width).toBe(Math.round(2 * (box.width + 32)));
    expect(height).toBe(Math.round(2 * (box.height + 118)));
    expect(at(width - 2 * 16 - 4, 2 * 12)).toEqual([0xff, 0xf1, 0xcc]);
    // Just inside the ends of the legend's ramp.
    const y = 2 * Math.round(56 + box.height + 8 + 18 + 6);
    const near = (x: number, colour: string) => {
      for (const [i, channel] of rgb(colour).entries()) {
        expect(Math.abs(at(x, y)[i]! - channel)).toBeLessThan(8);
      }
    };
    near(2 * 26 + 3, colourTable('viridis')[0]!);
    near(2 * (26 + 340) - 4, colourTable('viridis')[STEPS - 1]!);
    // Tissue and spots, not the blank ground.
    const panel = new Set(
      Array.from({ length: 60 }, (_, i) => String(at(width / 2 + 5 * i, height >> 1))),
    );
    expect(panel.size).toBeGreaterThan(10);
  });

  test('while another gene is computed, the picture is named after the one that is drawn', async () => {
    const files = catchFiles();
    const { engine } = mountSee();
    await vi.waitFor(() => expect(covered(overlay())).toBeGreaterThan(0.1), 10_000);
    const release = engine.hold('map');
    await page.getByText('GENE-2', { exact: true }).click();
    await expect.element(page.getByRole('heading', { name: /^GENE-2/ }).first()).toBeVisible();
    await page.getByRole('button', { name: 'Map (PNG)' }).click();
    await vi.waitFor(() => expect(files).toHaveLength(1), 10_000);
    expect(files[0]!.name).toContain('_GENE-1_predicted');
    release();
  });

  test('tables, model and report come from the engine, under sensible names', async () => {
    const files = catchFiles();
    const { engine } = mountSee({ simulated: false });
    for (const [button, call, name] of [
      ['Map (CSV)', 'exportMap', 'Mouse-olfactory-bulb_section-4_GENE-1_map.csv'],
      [
        'Predictions (CSV)',
        'exportPredictions',
        'Mouse-olfactory-bulb_Direct-ABMIL_predictions.csv',
      ],
      ['Model (safetensors)', 'exportModel', 'Mouse-olfactory-bulb_Direct-ABMIL.safetensors'],
      ['Report (HTML)', 'exportReport', 'Mouse-olfactory-bulb_Direct-ABMIL_report.html'],
    ] as const) {
      await page.getByRole('button', { name: button }).click();
      await vi.waitFor(() => expect(files.at(-1)?.name).toBe(name));
      expect(engine.calls).toContain(call);
      await expect.element(page.getByText(`Saved ${name}`)).toBeVisible();
    }
    expect(await files[0]!.blob.text()).toBe('place,section-4:GENE-1\n');
  });

  test('a file that cannot be made is told', async () => {
    const files = catchFiles();
    const { errors } = mountSee({}, (engine) =>
      engine.fail('exportReport', { problem: 'No memory for the report.' }),
    );
    await page.getByRole('button', { name: 'Report (HTML)' }).click();
    await vi.waitFor(() =>
      expect(errors.map((e) => e.problem)).toEqual(['No memory for the report.']),
    );
    expect(files).toEqual([]);
  });

  test('the URL of a saved file is given back', () => {
    catchFiles();
    vi.useFakeTimers();
    const revoke = vi.spyOn(URL, 'revokeObjectURL').mockImplementation(() => {});
    saveBlob(new Blob(['x']), 'x.csv');
    expect(revoke).not.toHaveBeenCalled();
    vi.runAllTimers();
    expect(revoke).toHaveBeenCalledWith('blob:caught');
    vi.useRealTimers();
  });
});
