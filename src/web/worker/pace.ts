/** How fast a training goes, over the last seconds. */
const WINDOW_MILLISECONDS = 10_000;

export class Pace {
  #started = performance.now();
  #marks: { at: number; step: number }[] = [];

  /** Forgets what it has seen: another start, after a pause. */
  restart(): void {
    this.#started = performance.now();
    this.#marks = [];
  }

  /** So many steps are done by now. */
  at(step: number): void {
    const now = performance.now();
    if (this.#marks.at(-1)?.step === step) return;
    this.#marks.push({ at: now, step });
    while (this.#marks.length > 2 && now - this.#marks[0]!.at > WINDOW_MILLISECONDS)
      this.#marks.shift();
  }

  /** Since the start. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** Null until two steps are seen: the first compiles the kernels. */
  get stepsPerSecond(): number | null {
    const [first] = this.#marks;
    const last = this.#marks.at(-1);
    if (!first || !last || last.step <= first.step || last.at === first.at) return null;
    return (1000 * (last.step - first.step)) / (last.at - first.at);
  }
}
