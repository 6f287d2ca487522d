import { describe, expect, test, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import type { TrainSettings } from '../../../src/web/protocol.ts';
import { freshPage, mountApp, mountTraining } from './mount.tsx';

freshPage();

const button = (name: string | RegExp) => page.getByRole('button', { name });
const field = (name: string) => page.getByRole('textbox', { name, exact: true });
const run = () => page.getByRole('region', { name: /on Simulated cohort/ });

describe('setting up', () => {
  async function mountForm(options = {}) {
    const mounted = await mountApp(() => {}, options);
    const sent = vi.spyOn(mounted.engine, 'train');
    await button('Use the simulated cohort').click();
    await expect.element(button('Start training')).toBeEnabled();
    /** Starts, and gives the settings that reached the engine. */
    const start = async (): Promise<TrainSettings> => {
      await button('Start training').click();
      await vi.waitFor(() => expect(sent).toHaveBeenCalledOnce());
      return sent.mock.calls[0]![0];
    };
    return { ...mounted, start };
  }

  test('the defaults can be started as they are; the parts are told before', async () => {
    const { start } = await mountForm({ kind: 'slides' });
    await expect.element(page.getByRole('radio', { name: 'Direct-ABMIL' })).toBeChecked();
    const plan = page.getByRole('complementary', { name: 'What will happen' });
    await expect.element(plan).toHaveTextContent(/learns 24 genes in 200 steps \(20 epochs\)/);
    await expect.element(plan).toHaveTextContent(/No patient is in two parts/);
    expect(await start()).toMatchObject({ model: 'direct-abmil', genes: null, epochs: 20 });
  });

  test('another model brings its own defaults and options', async () => {
    const { engine, start } = await mountForm();
    vi.spyOn(engine, 'defaults').mockImplementation(async (model) => ({
      ...engine.settings(model),
      modelOptions: { k: 100, metric: 'euclidean' },
    }));
    await page.getByRole('radio', { name: 'kNN' }).click();
    await page.getByText('Advanced settings').click();
    await field('Neighbours (k)').fill('7');
    await page.getByRole('combobox', { name: 'Distance' }).selectOptions('cosine');
    await expect.element(field('Learning rate')).not.toBeInTheDocument();
    expect(await start()).toMatchObject({ model: 'knn', modelOptions: { k: 7, metric: 'cosine' } });
  });

  test('a wrong number is told at its field, and nothing can be started', async () => {
    const { start } = await mountForm();
    await page.getByText('Advanced settings').click();
    await field('Epochs').fill('2.5');
    await expect
      .element(field('Epochs'))
      .toHaveAccessibleDescription(/Enter a whole number from 1 to 100,000/);
    await expect.element(button('Start training')).toBeDisabled();
    await field('Epochs').fill('3');
    await field('Learning rate').fill('1e-3');
    await expect.element(button('Start training')).toBeEnabled();
    expect(await start()).toMatchObject({ epochs: 3, lr: 0.001 });
  });

  test('what the engine finds wrong with the settings is told before the start', async () => {
    const { engine } = await mountForm();
    engine.fail('plan', {
      problem: 'One patient cannot be divided in three.',
      advice: 'Set the test to 0.',
    });
    await page.getByRole('radio', { name: 'Ridge (floor)' }).click();
    await expect
      .element(page.getByRole('alert'))
      .toHaveTextContent(/One patient cannot be divided/);
    await expect.element(button('Start training')).toBeDisabled();
  });

  test('genes: the most variable', async () => {
    const { start } = await mountForm();
    await page.getByRole('radio', { name: 'The most variable genes' }).click();
    await expect.element(field('How many')).toHaveAccessibleDescription(/from 1 to 24/);
    await field('How many').fill('2');
    expect(await start()).toMatchObject({ genes: ['GENE-24', 'GENE-23'] });
  });

  test('genes: search and pick, by keyboard', async () => {
    const { start } = await mountForm();
    await page.getByRole('radio', { name: 'Search and pick' }).click();
    await page.getByRole('searchbox', { name: 'Search genes' }).click();
    await userEvent.keyboard('gene-17{Enter}');
    await page.getByRole('searchbox', { name: 'Search genes' }).fill('2');
    await page.getByRole('checkbox', { name: 'GENE-20' }).click();
    await page.getByRole('checkbox', { name: 'GENE-21' }).click();
    await button('Take GENE-20 off the list').click();
    expect(await start()).toMatchObject({ genes: ['GENE-17', 'GENE-21'] });
  });

  test('genes: a pasted list, with names that are not in the data', async () => {
    const { start } = await mountForm();
    await page.getByRole('radio', { name: 'Paste a list' }).click();
    await field('Gene names').fill('ACTB');
    await expect
      .element(field('Gene names'))
      .toHaveAccessibleDescription(/whose genes are called like GENE-1/);
    await field('Gene names').fill('gene-3, ACTB\nGENE-2');
    await expect
      .element(field('Gene names'))
      .toHaveAccessibleDescription('2 genes found; not in these data: ACTB');
    expect(await start()).toMatchObject({ genes: ['GENE-2', 'GENE-3'] });
  });

  test('slides without expression can only be predicted, with a model from elsewhere', async () => {
    const { engine } = await mountApp(() => {}, { kind: 'unlabelled', simulated: false });
    await button('Use the simulated cohort').click();
    await expect.element(button('Start training')).not.toBeInTheDocument();
    await page.getByLabelText('Open a trained model…').upload(new File(['x'], 'abmil.safetensors'));
    await expect.element(page.getByRole('heading', { level: 1, name: 'See' })).toHaveFocus();
    expect(engine.calls).toContain('openModel');
  });
});

describe('running', () => {
  test('shows progress, curves and figures; leads to the results', async () => {
    const { engine } = await mountTraining();
    await expect.element(run()).toHaveTextContent(/preparing/);
    engine.advance(4);
    await expect.element(run()).toHaveTextContent(/epoch 4 of 20.*12.5 steps\/s.*39.1 MiB/);
    await expect
      .element(page.getByRole('img', { name: /Loss over epochs. After epoch 4: training 0.746/ }))
      .toBeVisible();
    await expect
      .element(page.getByRole('img', { name: /Correlation.*After epoch 4: 0.292/ }))
      .toBeVisible();
    await vi.waitFor(() => expect(document.querySelectorAll('.curve canvas')).toHaveLength(2));
    await expect
      .element(page.getByRole('progressbar', { name: 'Training progress' }))
      .toHaveAttribute('value', '40');
    expect(document.title).toBe('20 % trained: histograd');
    engine.finish();
    await expect.element(button('See the results')).toHaveFocus();
    await userEvent.keyboard('{Enter}');
    await expect.element(page.getByRole('heading', { level: 1, name: 'See' })).toHaveFocus();
  });

  test('without a validation part nothing speaks of one', async () => {
    const { engine, app } = await mountTraining();
    engine.advance(2);
    const { run: state } = app;
    const split = { unit: 'patients', train: 3, validation: 0, test: 1, note: null } as const;
    const points = state.value!.points.map(({ epoch, step, trainLoss }) => ({
      epoch,
      step,
      trainLoss,
    }));
    engine.emit({ type: 'run', run: { ...state.value!, split, points } });
    await expect.element(run()).toHaveTextContent(/There is no validation part/);
    await expect.element(page.getByRole('img', { name: /Loss over epochs/ })).toBeVisible();
    expect(document.querySelector('.curve-legend')).toBeNull();
    await expect.element(run()).not.toHaveTextContent(/to watch for over-fitting/);
  });

  test('pauses, resumes and stops', async () => {
    const { engine } = await mountTraining();
    await expect.element(button('Pause')).toBeDisabled();
    engine.advance();
    const release = engine.hold('pause');
    await button('Pause').click();
    await expect.element(button('Pausing…')).toHaveFocus();
    await expect
      .element(button('Stop and keep the model'))
      .toHaveAttribute('aria-disabled', 'true');
    release();
    await expect.element(run()).toHaveTextContent('All progress is stored in this browser.');
    await expect.element(button('Resume')).toHaveFocus();
    await button('Resume').click();
    await button('Stop and keep the model').click();
    await expect.element(button('See the results')).toBeVisible();
    expect(engine.calls.filter((call) => ['pause', 'resume', 'stop'].includes(call))).toEqual([
      'pause',
      'resume',
      'stop',
    ]);
  });

  test('after the end another training can be set up, with the same settings', async () => {
    const { engine, app } = await mountTraining();
    engine.finish();
    await button('Train again').click();
    await expect.element(button('Start training')).toBeEnabled();
    expect(app.draft.ready.value).toEqual(engine.run?.settings);
    await button('Back to the last run').click();
    await expect.element(button('See the results')).toBeVisible();
  });

  test('other data cannot be opened meanwhile', async () => {
    const { engine } = await mountTraining();
    engine.advance();
    await page.getByRole('link', { name: 'Start' }).click();
    await expect.element(page.getByText(/A training is running/)).toBeVisible();
    await expect.element(button('Use the simulated cohort')).toBeDisabled();
    await expect
      .element(page.getByRole('link', { name: 'Train (training is running)' }))
      .toBeVisible();
  });

  test('a model that is computed at once has no curves', async () => {
    const { engine } = await mountApp();
    await button('Use the simulated cohort').click();
    await page.getByRole('radio', { name: 'Ridge (floor)' }).click();
    await button('Start training').click();
    engine.finish();
    await expect.element(run()).toHaveTextContent('there are no curves');
  });
});

describe('trouble', () => {
  test('out of memory: a button takes smaller settings', async () => {
    const { engine, app } = await mountTraining({ kind: 'slides' });
    engine.advance();
    engine.failTraining({
      code: 'out-of-memory',
      problem: 'The GPU has no room for 2 GiB more.',
      advice: 'Choose smaller settings.',
    });
    await expect.element(page.getByRole('alert')).toHaveTextContent('no room for 2 GiB more');
    await button(/Take smaller settings: 128 instead of 256 patches/).click();
    await expect.element(button('Start training')).toBeEnabled();
    expect(app.draft.ready.value?.maxPatches).toBe(128);
  });

  test('a loss that is not a number: a button takes a lower learning rate', async () => {
    const { engine, app } = await mountTraining();
    engine.failTraining({
      code: 'non-finite-loss',
      problem: 'The loss is NaN.',
      advice: 'Lower it.',
    });
    await button('Take a learning rate of 0.00001').click();
    expect(app.draft.settings.value?.lr).toBe(1e-5);
  });

  test('a lost device recovers by itself, or resumes by a click', async () => {
    const { engine } = await mountTraining();
    engine.advance(2);
    const error = { code: 'device-lost', problem: 'The GPU went away.', advice: 'Resume.' };
    engine.failTraining(error, 'recovering');
    await expect
      .element(page.getByRole('alert'))
      .toHaveTextContent(/goes on from the last checkpoint/);
    engine.advance();
    await expect.element(page.getByRole('alert')).not.toBeInTheDocument();
    engine.failTraining(error);
    await button('Resume from the last checkpoint').click();
    await expect.element(run()).toHaveTextContent(/training/);
    expect(engine.calls).toContain('resume');
  });

  test('a hidden tab loses nothing, and says what happened meanwhile', async () => {
    const { engine, app } = await mountTraining();
    engine.advance();
    const hidden = vi.spyOn(document, 'hidden', 'get');
    const turn = (value: boolean) => {
      hidden.mockReturnValue(value);
      document.dispatchEvent(new Event('visibilitychange'));
    };
    turn(true);
    engine.advance(3);
    turn(false);
    hidden.mockRestore();
    await expect
      .element(page.getByRole('region', { name: 'Notice' }))
      .toHaveTextContent(/training went on \(30 steps\)/);
    expect(app.run.value?.points).toHaveLength(4);
  });

  test('a pause that fails is told, and the training is still shown', async () => {
    const { engine } = await mountTraining();
    engine.advance();
    engine.fail('pause', { problem: 'The disk is full.', advice: 'Delete a run.' });
    await button('Pause').click();
    await expect
      .element(page.getByRole('alert', { name: 'Problem' }))
      .toHaveTextContent(/Pausing did not work. The disk is full/);
    await expect.element(button('Pause')).toBeEnabled();
  });
});
