/**
 * The order of frames where a DICOM file does not say it.
 *
 * The standard has frames without positions run along rows (TILED_FULL). Files from before that rule say nothing, and
 * some run down columns. Neighbouring frames continue each other: the seams tell.
 */
import type { RgbImage } from './slide.ts';

/** Pairs of frames looked at. */
const PAIRS = 24;

/** Whether frame i + 1 continues frame i below rather than to the right, judged by pairs spread over the slide. */
export async function runsDownColumns(
  across: number,
  down: number,
  decode: (frame: number) => Promise<RgbImage>,
): Promise<boolean> {
  if (across < 2 || down < 2) return false;
  const last = across * down - 1;
  const pairs = Math.min(PAIRS, last);
  const right = { sum: 0, count: 0 };
  const below = { sum: 0, count: 0 };
  for (let pair = 0; pair < pairs; pair++) {
    const frame = Math.floor((pair * last) / pairs);
    const two = await Promise.all([decode(frame), decode(frame + 1)]).catch(() => null);
    // A damaged frame is reported when it is read, and says nothing here.
    if (two === null) continue;
    const [one, next] = two;
    // At the end of a row or column the next frame lies elsewhere.
    if ((frame + 1) % across !== 0) add(right, seam(one, next, 'right'));
    if ((frame + 1) % down !== 0) add(below, seam(one, next, 'below'));
  }
  if (right.count === 0 || below.count === 0) return false;
  // Background tells nothing: the standard's order unless the other is clearly better.
  return below.sum / below.count < (0.7 * right.sum) / right.count;
}

function add(mean: { sum: number; count: number }, value: number): void {
  mean.sum += value;
  mean.count++;
}

/** Mean difference between a frame's last line of pixels and the next frame's first. */
function seam(one: RgbImage, next: RgbImage, side: 'right' | 'below'): number {
  const { width, height } = one;
  const length = side === 'right' ? height : width;
  let sum = 0;
  for (let i = 0; i < length; i++) {
    const from = 3 * (side === 'right' ? i * width + width - 1 : (height - 1) * width + i);
    const to = 3 * (side === 'right' ? i * width : i);
    for (let c = 0; c < 3; c++) sum += Math.abs(one.data[from + c]! - next.data[to + c]!);
  }
  return sum / length;
}
