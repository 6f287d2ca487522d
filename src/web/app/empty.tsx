import type { ComponentChildren } from 'preact';

/** What a screen shows while there is nothing to show, with the way on. */
export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="card empty stack">
      <h2>{title}</h2>
      {children}
    </section>
  );
}
