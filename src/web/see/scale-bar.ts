/** A bar of a round length, as on every micrograph. */

export interface ScaleBar {
  /** Screen pixels. */
  readonly width: number;
  readonly label: string;
}

/**
 * The longest round bar that is not wider than `maxWidth`.
 *
 * @param zoom screen pixels per pixel of the slide's largest level
 * @param mpp micrometres per pixel of that level; null gives a bar in pixels
 */
export function scaleBar(zoom: number, mpp: number | null, maxWidth: number): ScaleBar | null {
  const perUnit = mpp === null ? zoom : zoom / mpp;
  if (!(perUnit > 0) || !Number.isFinite(perUnit) || !(maxWidth > 0)) return null;
  const longest = maxWidth / perUnit;
  const power = 10 ** Math.floor(Math.log10(longest));
  const length = ([5, 2, 1].find((factor) => factor * power <= longest * 1.0001) ?? 1) * power;
  return { width: length * perUnit, label: lengthLabel(length, mpp === null) };
}

function lengthLabel(length: number, pixels: boolean): string {
  if (pixels) return `${Number(length.toPrecision(6))} px`;
  if (length >= 1000) return `${Number((length / 1000).toPrecision(6))} mm`;
  if (length < 1) return `${Number((length * 1000).toPrecision(6))} nm`;
  return `${Number(length.toPrecision(6))} µm`;
}
