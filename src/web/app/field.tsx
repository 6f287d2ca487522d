import { useId, useRef } from 'preact/hooks';

interface NumberFieldProps {
  label: string;
  hint?: string;
  /** NaN: empty, or not a number. */
  value: number;
  wrong?: string | null;
  whole?: boolean;
  disabled?: boolean;
  onChange(value: number): void;
}

/** A number with its label, hint, and what is wrong with it. */
export function NumberField({
  label,
  hint,
  value,
  wrong,
  whole,
  disabled,
  onChange,
}: NumberFieldProps) {
  const id = useId();
  // What is being typed stays as typed (`1e-`, `0.`) while it means the value that is held.
  const typed = useRef<string | null>(null);
  const shown =
    typed.current !== null && Object.is(parse(typed.current), value)
      ? typed.current
      : Number.isNaN(value)
        ? ''
        : String(value);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        inputMode={whole ? 'numeric' : 'decimal'}
        autocomplete="off"
        value={shown}
        disabled={disabled}
        aria-invalid={wrong ? true : undefined}
        aria-describedby={
          `${hint ? `${id}-hint` : ''} ${wrong ? `${id}-wrong` : ''}`.trim() || undefined
        }
        onInput={({ currentTarget }) => {
          typed.current = currentTarget.value;
          onChange(parse(currentTarget.value));
        }}
      />
      {wrong && (
        <span id={`${id}-wrong`} class="wrong">
          {wrong}
        </span>
      )}
      {hint && (
        <span id={`${id}-hint`} class="hint">
          {hint}
        </span>
      )}
    </div>
  );
}

/** With a decimal point or comma; NaN for anything that is no number. */
function parse(text: string): number {
  const trimmed = text.trim().replace(',', '.');
  return trimmed === '' ? Number.NaN : Number(trimmed);
}

interface SelectFieldProps<Value extends string> {
  label: string;
  hint?: string;
  value: Value;
  options: readonly { readonly value: Value; readonly label: string }[];
  onChange(value: Value): void;
}

export function SelectField<Value extends string>({
  label,
  hint,
  value,
  options,
  onChange,
}: SelectFieldProps<Value>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={({ currentTarget }) => {
          const chosen = options[currentTarget.selectedIndex];
          if (chosen) onChange(chosen.value);
        }}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
      {hint && (
        <span id={`${id}-hint`} class="hint">
          {hint}
        </span>
      )}
    </div>
  );
}

interface CheckFieldProps {
  label: string;
  hint?: string;
  value: boolean;
  onChange(value: boolean): void;
}

export function CheckField({ label, hint, value, onChange }: CheckFieldProps) {
  const id = useId();
  return (
    <div class="field choice">
      <input
        id={id}
        type="checkbox"
        checked={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {hint && (
        <span id={`${id}-hint`} class="hint">
          {hint}
        </span>
      )}
    </div>
  );
}
