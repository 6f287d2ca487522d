/** The part of the address after #: the screen, and the run that a reload comes back to. */
const SCREENS = ['start', 'train', 'see', 'kernels'] as const;
export type Screen = (typeof SCREENS)[number];

export interface Route {
  readonly screen: Screen;
  readonly run: string | null;
}

/** `#see/run-7`; anything unknown is the start. */
export function readHash(hash: string = location.hash): Route {
  const [name, run] = hash.replace(/^#/, '').split('/');
  let id: string | null = null;
  try {
    id = run ? decodeURIComponent(run) : null;
  } catch {
    // A mangled address names no run.
  }
  return { screen: SCREENS.find((screen) => screen === name) ?? 'start', run: id };
}

export function routeHash({ screen, run }: Route): string {
  return `#${screen}${run ? `/${encodeURIComponent(run)}` : ''}`;
}

/** A new screen is a step of the browser's history; only another run on the same screen is not. */
export function writeHash(route: Route): void {
  const hash = routeHash(route);
  if (hash === location.hash || (location.hash === '' && hash === '#start')) return;
  if (readHash().screen === route.screen) history.replaceState(null, '', hash);
  else history.pushState(null, '', hash);
}
