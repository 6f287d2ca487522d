/** Calls `send` at most once in `milliseconds`, the last time always; `now` sends at once. */
export function throttle(send: () => void, milliseconds: number): { soon(): void; now(): void } {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let sentAt = Number.NEGATIVE_INFINITY;
  const now = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    sentAt = performance.now();
    send();
  };
  const soon = () => {
    const wait = sentAt + milliseconds - performance.now();
    if (wait <= 0) now();
    else timer ??= setTimeout(now, wait);
  };
  return { soon, now };
}
