import { useEffect, useRef } from 'preact/hooks';
import type { TrainSettings } from '../protocol.ts';
import type { TrainingDraft } from './draft.ts';
import { CheckField, NumberField, SelectField } from './field.tsx';
import { modelCard } from './models.ts';
import { optionWords } from './option-words.ts';

interface Props {
  draft: TrainingDraft;
  settings: TrainSettings;
  /** What has one expression profile; a spot is one patch. */
  sample: 'slide' | 'spot';
}

export function AdvancedSettings({ draft, settings, sample }: Props) {
  const details = useRef<HTMLDetailsElement>(null);
  const wrong = draft.wrong.value;
  const anyWrong = Object.keys(wrong).length > 0;
  // What must be mended is not left folded away.
  useEffect(() => {
    if (anyWrong && details.current) details.current.open = true;
  }, [anyWrong]);
  const { trains } = modelCard(settings.model);
  return (
    <details ref={details} class="card advanced">
      <summary class="heading">Advanced settings</summary>
      {trains && <Steps draft={draft} settings={settings} sample={sample} />}
      <Parts draft={draft} settings={settings} />
      <ModelOptionFields draft={draft} settings={settings} />
    </details>
  );
}

type NumberKey = {
  [K in keyof TrainSettings]: TrainSettings[K] extends number ? K : never;
}[keyof TrainSettings];

interface SettingProps {
  draft: TrainingDraft;
  settings: TrainSettings;
  name: NumberKey;
  label: string;
  hint: string;
  whole?: boolean;
}

function NumberSetting({ draft, settings, name, label, hint, whole }: SettingProps) {
  return (
    <NumberField
      label={label}
      hint={hint}
      whole={whole}
      value={settings[name]}
      wrong={draft.wrong.value[name]}
      onChange={(value) => draft.change({ [name]: value })}
    />
  );
}

function Steps({ draft, settings, sample }: Props) {
  const common = { draft, settings };
  return (
    <section class="settings" aria-label="Steps">
      <h3>Steps</h3>
      <NumberSetting
        {...common}
        name="epochs"
        label="Epochs"
        hint="Passes over all training samples."
        whole
      />
      <NumberSetting
        {...common}
        name="patience"
        label="Patience (epochs)"
        hint="Stops after so many epochs without a better validation score, and keeps the best. 0: never stops, keeps the last."
        whole
      />
      <NumberSetting
        {...common}
        name="batchSize"
        label={`Batch (${sample}s per step)`}
        hint="More is steadier and needs more memory."
        whole
      />
      {sample === 'slide' && (
        <NumberSetting
          {...common}
          name="maxPatches"
          label="Patches per slide and step"
          hint="Drawn at random where there are more. Fewer needs less memory."
          whole
        />
      )}
      <NumberSetting
        {...common}
        name="lr"
        label="Learning rate"
        hint="How far a step goes. Lower it if the loss jumps or is not a number."
      />
      <NumberSetting
        {...common}
        name="weightDecay"
        label="Weight decay"
        hint="Pulls parameters towards 0, against over-fitting."
      />
      <SelectField
        label="Learning rate over time"
        value={settings.schedule}
        options={[
          { value: 'constant', label: 'constant' },
          { value: 'cosine', label: 'falls to 0 as a cosine' },
        ]}
        onChange={(schedule) => draft.change({ schedule })}
      />
      <CheckField
        label="Standardise"
        hint="Scale features and expression by their mean and spread over the training part."
        value={settings.standardise}
        onChange={(standardise) => draft.change({ standardise })}
      />
    </section>
  );
}

function Parts({ draft, settings }: Omit<Props, 'sample'>) {
  const common = { draft, settings };
  return (
    <section class="settings" aria-label="Parts">
      <h3>Parts</h3>
      <NumberSetting
        {...common}
        name="validationFraction"
        label="Share for validation"
        hint="Of the patients, 0 to 0.5. Chooses when to stop."
      />
      <NumberSetting
        {...common}
        name="testFraction"
        label="Share for the test"
        hint="Of the patients, 0 to 0.5. The scores are computed on these."
      />
      <NumberSetting
        {...common}
        name="seed"
        label="Seed"
        hint="The same seed gives the same parts and the same numbers on the same adapter."
        whole
      />
    </section>
  );
}

function ModelOptionFields({ draft, settings }: Omit<Props, 'sample'>) {
  const entries = Object.entries(settings.modelOptions);
  if (entries.length === 0) return null;
  const change = (name: string, value: number | string | boolean) =>
    draft.change({ modelOptions: { ...settings.modelOptions, [name]: value } });
  return (
    <section class="settings" aria-label="Model options">
      <h3>{modelCard(settings.model).title}</h3>
      {entries.map(([name, value]) => {
        const { label, hint, whole, choices } = optionWords(name);
        if (typeof value === 'boolean') {
          return (
            <CheckField
              key={name}
              label={label}
              hint={hint}
              value={value}
              onChange={(next) => change(name, next)}
            />
          );
        }
        if (typeof value === 'string') {
          return (
            <SelectField
              key={name}
              label={label}
              hint={hint}
              value={value}
              options={(choices ?? [value]).map((choice) => ({ value: choice, label: choice }))}
              onChange={(next) => change(name, next)}
            />
          );
        }
        return (
          <NumberField
            key={name}
            label={label}
            hint={hint}
            whole={whole}
            value={value}
            wrong={draft.wrong.value[`modelOptions.${name}`]}
            onChange={(next) => change(name, next)}
          />
        );
      })}
    </section>
  );
}
