import { useSignal } from '@preact/signals';
import type { FunctionComponent } from 'preact';
import { useEffect } from 'preact/hooks';
import type { DatasetSummary, Engine, EngineError, RunState } from '../protocol.ts';
import { Empty } from './empty.tsx';
import { asEngineError } from './errors.ts';
import type { AppState } from './state.ts';

interface SeeProps {
  engine: Engine;
  dataset: DatasetSummary;
  run: RunState;
  onError(error: EngineError): void;
}

const MOBILE_STYLE = 'data-openseadragon-mobile-css';

/**
 * OpenSeadragon adds an inline style, which the content security policy refuses with an error in the console, unless an
 * element called `style` carries this attribute: one of no namespace has no styles to refuse.
 */
function standInForInlineStyle(): void {
  if (document.querySelector(`style[${MOBILE_STYLE}]`)) return;
  const element = document.createElementNS(null, 'style');
  element.setAttribute(MOBILE_STYLE, '');
  document.head.append(element);
}

/** The results; their code (viewer, plots) is loaded when they are first wanted. */
export function SeeScreen({ app }: { app: AppState }) {
  const See = useSignal<FunctionComponent<SeeProps> | null>(null);
  const wanted = app.hasResults.value;
  useEffect(() => {
    if (!wanted || See.value) return;
    standInForInlineStyle();
    void import('../see/see.tsx').then(
      (module) => {
        See.value = module.See;
      },
      (thrown: unknown) => {
        app.problem.value = { doing: 'Loading the viewer', error: asEngineError(thrown) };
      },
    );
  }, [app, wanted, See]);

  const dataset = app.dataset.value;
  const run = app.run.value;
  if (!wanted || !dataset || !run) {
    return (
      <Empty title="There are no results yet">
        <p>
          {app.training.value
            ? 'The model is still training. Results show here when it has finished.'
            : 'Train a model, or open the example run or a stored one: the results then show here.'}
        </p>
        <a class="button" href={dataset ? '#train' : '#start'}>
          {dataset ? 'Go to Train' : 'Go to Start'}
        </a>
      </Empty>
    );
  }
  if (!See.value) return <p class="soft">Loading the viewer…</p>;
  return (
    <See.value
      // Models from elsewhere have no id.
      key={`${run.id} ${run.title}`}
      engine={app.engine}
      dataset={dataset}
      run={run}
      onError={(error: EngineError) => {
        app.problem.value = { doing: 'Showing the results', error };
        // What failed says nothing more of how far it is.
        app.task.value = null;
      }}
    />
  );
}
