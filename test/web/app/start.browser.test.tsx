import { describe, expect, test } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import type { Intake, StoredRun } from '../../../src/web/protocol.ts';
import { freshPage, mountApp } from './mount.tsx';

freshPage();

const button = (name: string | RegExp) => page.getByRole('button', { name });
const text = (content: string | RegExp) => page.getByText(content);

describe('adapter', () => {
  test('is told in words and in numbers', async () => {
    await mountApp();
    const card = page.getByRole('region', { name: 'What computes' });
    await expect.element(card).toHaveTextContent('Made-up adapter');
    await expect.element(card).toHaveTextContent(/processor stands in.*120 GFLOP\/s.*14.0 GB\/s/);
  });

  test('without WebGPU: why, which browsers, and the command line', async () => {
    await mountApp((engine) =>
      engine.fail('start', {
        code: 'no-adapter',
        problem: 'No WebGPU adapter was found.',
        advice: 'Use another browser.',
      }),
    );
    const card = page.getByRole('region', { name: 'What computes' });
    await expect.element(card).toHaveTextContent('No WebGPU adapter was found.');
    await expect.element(card).toHaveTextContent('Chrome or Edge 113 and newer');
    await expect.element(card).toHaveTextContent('npx histograd demo');
    const report = card.getByRole('link', { name: 'See the report of an example run' });
    const { href } = report.element() as HTMLAnchorElement;
    expect(await (await fetch(href)).text()).toMatch(/simulated[\s\S]*Direct-ABMIL/i);
    await expect.element(button('Use the simulated cohort')).toBeDisabled();
    await expect.element(button('Open the example run')).toBeDisabled();
  });
});

describe('ways in', () => {
  test('the simulated cohort leads to training, and is marked as simulated', async () => {
    await mountApp();
    await button('Use the simulated cohort').click();
    await expect.element(page.getByRole('heading', { level: 1, name: 'Train' })).toHaveFocus();
    await expect.element(text('simulated data')).toBeVisible();
    expect(location.hash).toBe('#train');
  });

  test('the example run leads to its results', async () => {
    await mountApp();
    await button('Open the example run').click();
    await expect.element(page.getByRole('heading', { level: 1, name: 'See' })).toHaveFocus();
    expect(location.hash).toBe('#see/run-1');
  });

  test('while one thing is being opened, nothing else can be', async () => {
    const { engine } = await mountApp();
    const release = engine.hold('openSimulated');
    await button('Use the simulated cohort').click();
    await expect.element(button('Open the example run')).toBeDisabled();
    engine.emit({ type: 'task', label: 'Drawing slides', done: 3, total: 12 });
    await expect.element(page.getByRole('progressbar', { name: 'Drawing slides' })).toBeVisible();
    await expect.element(text('3 of 12')).toBeVisible();
    release();
    await expect.element(page.getByRole('heading', { level: 1, name: 'Train' })).toBeVisible();
    await expect.element(page.getByRole('progressbar')).not.toBeInTheDocument();
  });

  test('what fails is told with advice and details, and can be put away', async () => {
    await mountApp((engine) =>
      engine.fail('openExample', {
        code: 'not-found',
        problem: 'The example is not on this server.',
        advice: 'Use the simulated cohort.',
      }),
    );
    await button('Open the example run').click();
    const alert = page.getByRole('alert', { name: 'Problem' });
    await expect.element(alert).toHaveTextContent('The example is not on this server.');
    await expect.element(alert).toHaveTextContent('Use the simulated cohort.');
    await text('Details').first().click();
    await expect.element(alert).toHaveTextContent(/code: not-found.*adapter: Made-up adapter/);
    await button('Close this problem').click();
    await expect.element(alert).not.toBeInTheDocument();
    await expect.element(button('Open the example run')).toBeEnabled();
  });
});

const SECTION: Intake = {
  files: [
    { name: 'section.jpg', role: 'section image', note: 'does not say its resolution' },
    { name: 'spots.tsv', role: 'spots', note: null },
    { name: 'counts.h5', role: 'counts', note: null },
    { name: 'notes.docx', role: 'ignored', note: 'not a format of this field' },
  ],
  opens: 'spots',
  problem: null,
  needsMpp: true,
  geneCount: 16034,
};

describe('own files', () => {
  const choose = (...names: string[]) =>
    page
      .getByLabelText('Choose files…')
      .upload(names.map((name) => new File(['x'], name, { type: 'text/plain' })));

  test('what each was taken for, the resolution where it is missing, and how many genes', async () => {
    const { engine, app } = await mountApp((fake) => {
      fake.intake = SECTION;
    });
    await choose('section.jpg', 'spots.tsv', 'counts.h5', 'notes.docx');
    const table = page.getByRole('table', { name: 'What the files were taken for' });
    await expect.element(table).toHaveTextContent(/section image.*spot positions.*not used/);
    await expect.element(button('Open these files')).toBeDisabled();
    const mpp = page.getByRole('textbox', { name: /Resolution/ });
    await mpp.fill('99');
    await expect.element(mpp).toHaveAccessibleDescription(/Enter a number from 0.05 to 20/);
    await mpp.fill('0,5');
    const genes = page.getByRole('textbox', { name: 'How many genes' });
    await expect.element(genes).toHaveValue('250');
    await genes.fill('20000');
    await expect.element(genes).toHaveAccessibleDescription(/from 1 to 16,034/);
    await genes.fill('100');
    expect(app.files.options.value).toEqual({ mpp: 0.5, genes: 100 });
    await button('Open these files').click();
    await expect.element(page.getByRole('heading', { level: 1, name: 'Train' })).toBeVisible();
    await expect.element(text('simulated data')).not.toBeInTheDocument();
    expect(engine.calls).toContain('openFiles');
  });

  test('a folder of many files is a row, with the files that are used first', async () => {
    await mountApp((fake) => {
      fake.intake = {
        ...SECTION,
        files: [
          { name: 'study/readme.md', role: 'ignored', note: null },
          ...Array.from({ length: 300 }, (_, i) => ({
            name: `study/slide-${i}.h5`,
            role: 'features' as const,
            note: null,
          })),
        ],
      };
    });
    await choose('a.h5');
    const rows = page.getByRole('table').getByRole('row');
    await expect.element(rows.nth(1)).toHaveTextContent(/^patch featuresslide-0.h5, slide-1.h5/);
    await expect.element(rows.nth(2)).toHaveTextContent('not usedreadme.md');
    expect(rows.elements()).toHaveLength(3);
    await text('and 296 more').click();
    await expect.element(text(/slide-299.h5/)).toBeVisible();
  });

  test('what is missing is told; files that come later complete the set', async () => {
    const { engine, app } = await mountApp((fake) => {
      fake.intake = {
        ...SECTION,
        opens: null,
        needsMpp: false,
        problem: {
          code: 'incomplete',
          problem: 'The counts of this section are missing.',
          advice: 'Drop the table of counts beside the image.',
        },
      };
    });
    await choose('section.jpg');
    await expect
      .element(page.getByRole('alert'))
      .toHaveTextContent(/counts of this section are missing.*beside the image/);
    await expect.element(button('Open these files')).toBeDisabled();
    engine.intake = { ...SECTION, needsMpp: false };
    await choose('counts.h5');
    await expect.element(button('Open these files')).toBeEnabled();
    expect(app.files.files.value.map(({ path }) => path)).toEqual(['section.jpg', 'counts.h5']);
    await button('Start over').click();
    await expect.element(text('What goes together:')).toBeVisible();
  });

  test('a drop brings files; tables and images that do not match are told when opened', async () => {
    const { engine } = await mountApp((fake) => {
      fake.intake = { ...SECTION, opens: 'slides', needsMpp: false };
    });
    const transfer = new DataTransfer();
    transfer.items.add(new File(['x'], 'slide-1.h5'));
    transfer.items.add(new File(['x'], 'expression.csv'));
    const zone = page.getByRole('region', { name: 'Your own files' }).element();
    zone.dispatchEvent(
      new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }),
    );
    await expect.element(text('Slides with expression: ready to train on.')).toBeVisible();
    engine.fail('openFiles', {
      code: 'no-match',
      problem: 'No slide of the table has features: found TCGA-A1, expected slide-1.',
      advice: 'Name the rows of the table like the feature files.',
    });
    await button('Open these files').click();
    await expect
      .element(page.getByRole('alert'))
      .toHaveTextContent('No slide of the table has features');
    // What was chosen is still there to be mended.
    await expect.element(button('Open these files')).toBeEnabled();
  });
});

const UNFINISHED: StoredRun = {
  id: 'r1',
  title: 'Ridge on mice',
  model: 'direct-abmil',
  phase: 'unfinished',
  epoch: 12,
  epochs: 50,
  changed: Date.now() - 3_600_000,
  bytes: 12 * 2 ** 20,
};
const FINISHED: StoredRun = {
  ...UNFINISHED,
  id: 'r2',
  title: 'Finished on mice',
  phase: 'finished',
};

describe('stored runs', () => {
  test('an unfinished run is offered at once', async () => {
    const { engine } = await mountApp((fake) => {
      fake.stored = [UNFINISHED, FINISHED];
    });
    const offer = page.getByRole('region', { name: 'Unfinished run' });
    await expect.element(offer).toHaveTextContent(/Ridge on mice was not finished: epoch 12 of 50/);
    await offer.getByRole('button', { name: 'Resume this run' }).click();
    expect(engine.calls).toContain('openRun');
  });

  test('a reload comes back to the results that were open', async () => {
    history.replaceState(null, '', '#see/r2');
    const { app } = await mountApp((fake) => {
      fake.stored = [UNFINISHED, FINISHED];
    });
    await expect.element(page.getByRole('heading', { level: 1, name: 'See' })).toBeInTheDocument();
    expect(app.run.value?.id).toBe('r2');
  });

  test('deleting asks first; Escape keeps the run', async () => {
    const { engine } = await mountApp((fake) => {
      fake.stored = [FINISHED];
    });
    await button('Delete Finished on mice').click();
    const dialog = page.getByRole('dialog', { name: 'Delete Finished on mice?' });
    await expect.element(dialog).toHaveTextContent('12.0 MiB');
    await userEvent.keyboard('{Escape}');
    await expect.element(dialog).not.toBeInTheDocument();
    expect(engine.stored).toHaveLength(1);
    await button('Delete Finished on mice').click();
    await button('Delete it').click();
    await expect.element(text(/There are none yet/)).toBeVisible();
    expect(engine.stored).toHaveLength(0);
  });

  test('the open run can be deleted: its results go with it', async () => {
    history.replaceState(null, '', '#see/r2');
    const { engine, app } = await mountApp((fake) => {
      fake.stored = [FINISHED];
    });
    await page.getByRole('link', { name: 'Start', exact: true }).click();
    engine.fail('deleteRun', { code: 'run-in-use', problem: 'It is in use.', advice: 'Wait.' });
    await button('Delete Finished on mice').click();
    await button('Delete it').click();
    await expect.element(page.getByRole('alert')).toHaveTextContent('It is in use.');
    expect(app.run.value?.id).toBe('r2');
    await button('Delete Finished on mice').click();
    await button('Delete it').click();
    await expect.element(text(/There are none yet/)).toBeVisible();
    await page.getByRole('link', { name: 'See', exact: true }).click();
    await expect.element(text('There are no results yet')).toBeVisible();
  });
});
