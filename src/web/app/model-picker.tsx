import type { AppState } from './state.ts';

/** A model from elsewhere, for the data that are open. */
export function ModelPicker({ app }: { app: AppState }) {
  return (
    <label class="button picker" aria-disabled={!app.canOpen.value}>
      Open a trained model…
      <input
        type="file"
        class="visually-hidden"
        accept=".safetensors"
        disabled={!app.canOpen.value}
        onChange={({ currentTarget }) => {
          const file = currentTarget.files?.[0];
          if (file) void app.openModel(file);
          currentTarget.value = '';
        }}
      />
    </label>
  );
}
