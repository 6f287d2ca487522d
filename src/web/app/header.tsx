import type { Screen } from './route.ts';
import { routeHash } from './route.ts';
import type { AppState } from './state.ts';
import { THEMES, type Theme, theme } from './theme.ts';

const STEPS: readonly { screen: Screen; label: string }[] = [
  { screen: 'start', label: 'Start' },
  { screen: 'train', label: 'Train' },
  { screen: 'see', label: 'See' },
];

export function Header({ app }: { app: AppState }) {
  return (
    <header class="header">
      <a class="brand" href="#start">
        <Mark />
        histograd
      </a>
      <nav aria-label="Steps">
        <ol class="steps">
          {STEPS.map((step, i) => (
            <li key={step.screen}>
              <StepLink app={app} {...step} number={i + 1} />
            </li>
          ))}
        </ol>
      </nav>
      <nav aria-label="Tools" class="tools">
        <StepLink app={app} screen="kernels" label="Kernels" number={null} />
        <ThemeSwitch />
      </nav>
    </header>
  );
}

interface StepLinkProps {
  app: AppState;
  screen: Screen;
  label: string;
  number: number | null;
}

function StepLink({ app, screen, label, number }: StepLinkProps) {
  const current = app.screen.value === screen;
  const run = app.run.value?.id ?? null;
  const live = screen === 'train' && app.training.value;
  return (
    <a
      class="step"
      href={routeHash({ screen, run })}
      aria-current={current ? (number === null ? 'page' : 'step') : undefined}
    >
      {number !== null && (
        <span class="step-number" aria-hidden="true">
          {number}
        </span>
      )}
      {label}
      {live && (
        <span class="live-dot">
          <span class="visually-hidden">(training is running)</span>
        </span>
      )}
    </a>
  );
}

const THEME_LABELS: Record<Theme, string> = { system: 'System', light: 'Light', dark: 'Dark' };

function ThemeSwitch() {
  return (
    <label class="theme">
      <span class="visually-hidden">Colour theme</span>
      <select
        value={theme.value}
        onChange={({ currentTarget }) => {
          theme.value = THEMES.find((name) => name === currentTarget.value) ?? 'system';
        }}
      >
        {THEMES.map((name) => (
          <option key={name} value={name}>
            {THEME_LABELS[name]}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Four places of a map, as a mark. */
function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
      <circle cx="7" cy="7" r="5" class="mark-1" />
      <circle cx="18" cy="7" r="4" class="mark-2" />
      <circle cx="7" cy="18" r="4" class="mark-3" />
      <circle cx="18" cy="18" r="5" class="mark-4" />
    </svg>
  );
}
