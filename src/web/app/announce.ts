/** What a screen reader is told, politely. Progress comes often, so it is thinned. */
import { signal } from '@preact/signals';

export const announcement = signal('');

const QUIET_MS = 15_000;
let last = Number.NEGATIVE_INFINITY;

/** At once. */
export function announce(text: string): void {
  announcement.value = text;
  last = performance.now();
}

/** Unless something was said in the last 15 seconds. */
export function announceProgress(text: string): void {
  if (performance.now() - last >= QUIET_MS) announce(text);
}
