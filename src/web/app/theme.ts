/** Light, dark, or as the system says; remembered in this browser. */
import { computed, effect, signal } from '@preact/signals';
import { recall, remember } from './remember.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEY = 'histograd.theme';
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const systemDark = signal(prefersDark.matches);
prefersDark.addEventListener('change', (event) => {
  systemDark.value = event.matches;
});

export const theme = signal<Theme>(THEMES.find((name) => name === recall(KEY)) ?? 'system');

/** Whether the page is dark now: what drawings on a canvas follow. */
export const dark = computed(() =>
  theme.value === 'system' ? systemDark.value : theme.value === 'dark',
);

effect(() => {
  const { dataset } = document.documentElement;
  if (theme.value === 'system') delete dataset.theme;
  else dataset.theme = theme.value;
  remember(KEY, theme.value);
});
