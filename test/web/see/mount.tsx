import { render } from 'preact';
import { afterEach, beforeEach } from 'vitest';
import { page } from 'vitest/browser';
import '../../../src/web/app/styles.css';
import type { EngineError } from '../../../src/web/protocol.ts';
import { See } from '../../../src/web/see/see.tsx';
import { FakeEngine, type FakeOptions } from '../fake-engine.ts';

let root: HTMLElement | null = null;

/** A new page for every test of the file. */
export function freshPage(): void {
  beforeEach(() => page.viewport(1440, 900));
  afterEach(leave);
}

/** Another screen. */
export function leave(): void {
  if (!root) return;
  render(null, root);
  root.remove();
  root = null;
}

/** The See screen on the fake engine; `prepare` changes what the engine holds before the screen asks. */
export function mountSee(
  options: Partial<FakeOptions> = {},
  prepare: (engine: FakeEngine) => void = () => {},
) {
  const engine = new FakeEngine(options);
  prepare(engine);
  const errors: EngineError[] = [];
  root = document.createElement('div');
  document.body.append(root);
  render(
    <See
      engine={engine}
      dataset={engine.dataset()}
      run={engine.finishedRun()}
      onError={(error) => errors.push(error)}
    />,
    root,
  );
  return { engine, errors };
}

/** A map's canvas of places. */
export function overlay(panel = 0): HTMLCanvasElement {
  return document.querySelectorAll<HTMLCanvasElement>('.see-map > canvas:not(:last-of-type)')[
    panel
  ]!;
}

/** RGBA of a canvas at a share of its width and height. */
export function pixel(canvas: HTMLCanvasElement, x: number, y: number): number[] {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('no 2d context');
  const { data } = context.getImageData(
    Math.floor(x * canvas.width),
    Math.floor(y * canvas.height),
    1,
    1,
  );
  return [...data];
}

/** How much of a canvas has been drawn on, 0 to 1. */
export function covered(canvas: HTMLCanvasElement): number {
  const context = canvas.getContext('2d');
  if (!context || canvas.width === 0) return 0;
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i]! > 0) n++;
  return n / (canvas.width * canvas.height);
}
