import { formatBytes, formatSignificant } from '../../report/format.ts';
import type { AdapterCard } from '../protocol.ts';
import { NoWebGpu } from './no-webgpu.tsx';
import type { AppState } from './state.ts';
import { describeGflops, describeSpeed } from './words.ts';

export function AdapterCardView({ app }: { app: AppState }) {
  const adapter = app.adapter.value;
  return (
    <section
      class="card stack"
      aria-labelledby="adapter-title"
      aria-busy={adapter.state === 'looking'}
    >
      <h2 id="adapter-title">What computes</h2>
      {adapter.state === 'looking' && <p class="soft">Looking for a graphics processor…</p>}
      {adapter.state === 'found' && <Found card={adapter.card} />}
      {adapter.state === 'missing' && <NoWebGpu error={adapter.error} />}
    </section>
  );
}

function Found({ card }: { card: AdapterCard }) {
  const software = card.kind === 'software';
  return (
    <>
      <p class="row">
        <strong>{card.name}</strong>
        <span class={software ? 'badge warn' : 'badge good'}>
          {software ? 'software' : 'graphics processor'}
        </span>
      </p>
      <p class="small">{describeSpeed(card)}</p>
      <dl class="facts">
        <dt>Arithmetic</dt>
        <dd>
          {describeGflops(card.gflops)}
          <span class="soft"> measured, multiply-adds</span>
        </dd>
        <dt>Memory</dt>
        <dd>
          {formatSignificant(card.gigabytesPerSecond)} GB/s
          <span class="soft"> measured, copying</span>
        </dd>
        <dt>Driver</dt>
        <dd>{card.driver || 'not told by the browser'}</dd>
      </dl>
      {software && (
        <p class="small soft">
          If this computer has a graphics card, switch on “Use graphics acceleration” in the
          browser’s settings and restart it.
        </p>
      )}
      <details class="small">
        <summary>Features</summary>
        <p class="soft">
          Largest piece of memory: {formatBytes(card.maxBinding)}.{' '}
          {card.features.length > 0 ? card.features.join(', ') : 'No optional features'}.
        </p>
      </details>
    </>
  );
}
