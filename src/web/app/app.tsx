import { useSignalEffect } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { announcement } from './announce.ts';
import { NoticeBar, ProblemBanner, TaskBar } from './banners.tsx';
import { Header } from './header.tsx';
import { KernelsScreen } from './kernels.tsx';
import { PageFooter } from './page-footer.tsx';
import type { Screen } from './route.ts';
import { SeeScreen } from './see-screen.tsx';
import { StartScreen } from './start.tsx';
import { type AppState, followAddress } from './state.ts';
import { TrainScreen } from './train.tsx';
import { watchTab } from './watch-tab.ts';

const TITLES: Record<Screen, string> = {
  start: 'Gene expression from histology, in this tab',
  train: 'Train',
  see: 'See',
  kernels: 'Kernel benchmarks',
};

export function App({ app }: { app: AppState }) {
  // At once, not after the first paint: a click may come before it.
  useLayoutEffect(() => followAddress(app), [app]);
  useLayoutEffect(() => watchTab(app), [app]);
  return (
    <>
      <button type="button" class="skip-link" onClick={skipToMain}>
        Skip to the content
      </button>
      <Header app={app} />
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement}
      </div>
      <ProblemBanner app={app} />
      <NoticeBar app={app} />
      <TaskBar app={app} />
      <ScreenFrame app={app} />
      <PageFooter />
    </>
  );
}

function ScreenFrame({ app }: { app: AppState }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const shown = useRef<Screen | null>(null);
  useSignalEffect(() => {
    const screen = app.screen.value;
    // The first screen leaves the focus where the browser puts it.
    if (shown.current !== null && shown.current !== screen) {
      // After the new screen has been drawn.
      requestAnimationFrame(() => {
        heading.current?.focus();
        scrollTo({ top: 0 });
      });
    }
    shown.current = screen;
  });
  const screen = app.screen.value;
  return (
    <main id="main" tabIndex={-1} class={`screen screen-${screen}`}>
      <h1 ref={heading} tabIndex={-1} class={screen === 'see' ? 'visually-hidden' : undefined}>
        {TITLES[screen]}
      </h1>
      {screen === 'start' && <StartScreen app={app} />}
      {screen === 'train' && <TrainScreen app={app} />}
      {screen === 'see' && <SeeScreen app={app} />}
      {screen === 'kernels' && <KernelsScreen app={app} />}
    </main>
  );
}

/** Not through the address: the part after # names the screen. */
function skipToMain(): void {
  document.getElementById('main')?.focus();
}
