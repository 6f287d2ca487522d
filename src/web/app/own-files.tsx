import { useSignal } from '@preact/signals';
import { readDrop, readPicked } from './drop.ts';
import type { AppState } from './state.ts';
import { Verdicts } from './verdicts.tsx';

export function OwnFiles({ app }: { app: AppState }) {
  const over = useSignal(false);
  const { files } = app;
  const add = (found: ReturnType<typeof readDrop>) =>
    app.attempt('Reading the files', async () => files.add(await found));
  return (
    <section
      class={over.value ? 'card way drop over' : 'card way drop'}
      aria-labelledby="way-files"
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={({ currentTarget, relatedTarget }) => {
        if (!(relatedTarget instanceof Node) || !currentTarget.contains(relatedTarget)) {
          over.value = false;
        }
      }}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        if (event.dataTransfer && !app.training.value) void add(readDrop(event.dataTransfer));
      }}
    >
      <h3 id="way-files">Your own files</h3>
      <p class="soft">
        Drop files or a whole folder here, or choose them. They stay on this computer.
      </p>
      <div class="row">
        <Picker
          label="Choose files"
          disabled={app.training.value}
          onPick={(list) => void add(Promise.resolve(readPicked(list)))}
        />
        <Picker
          label="Choose a folder"
          folder
          disabled={app.training.value}
          onPick={(list) => void add(Promise.resolve(readPicked(list)))}
        />
      </div>
      {files.files.value.length === 0 ? <Recipes /> : <Verdicts app={app} />}
    </section>
  );
}

interface PickerProps {
  label: string;
  folder?: boolean;
  disabled: boolean;
  onPick(list: FileList | null): void;
}

function Picker({ label, folder = false, disabled, onPick }: PickerProps) {
  return (
    <label class="button picker" aria-disabled={disabled}>
      {label}…
      <input
        type="file"
        class="visually-hidden"
        multiple
        ref={(input) => {
          // Not among the JSX attributes.
          if (input) input.webkitdirectory = folder;
        }}
        disabled={disabled}
        onChange={({ currentTarget }) => {
          onPick(currentTarget.files);
          // The same files can be chosen again.
          currentTarget.value = '';
        }}
      />
    </label>
  );
}

function Recipes() {
  return (
    <div class="recipes">
      <p class="small soft">What goes together:</p>
      <dl class="recipe-list small">
        <dt>To train on whole slides</dt>
        <dd>
          one file of patch features per slide (<code>.h5</code>, <code>.npy</code>,{' '}
          <code>.safetensors</code>) + a table of expression (<code>.csv</code>, <code>.tsv</code>)
        </dd>
        <dt>To train on a section</dt>
        <dd>
          its image (<code>.jpg</code>, <code>.png</code>, <code>.tif</code>) + spot positions +
          counts (<code>.h5</code>, <code>.h5ad</code>, <code>.tsv</code>)
        </dd>
        <dt>To predict</dt>
        <dd>
          a slide (<code>.svs</code>, <code>.tif</code>, DICOM) or features + a trained model (
          <code>.safetensors</code>) from here or from the command line
        </dd>
      </dl>
    </div>
  );
}
