/**
 * The preview of a slide's tiles: one SVG with the overview (kept and rejected tiles outlined), a
 * histogram of the scores with the threshold, and what was chosen. Text is real text, so the
 * picture scales, can be searched and needs no font of its own; the overview is a PNG inside.
 */
import { KEPT_COLOUR, previewPicture, REJECTED_COLOUR } from './preview-picture.ts';
import { SELECTOR_UNITS, type TileSelection } from './select-tiles.ts';
import type { Slide } from './slide.ts';
import type { TilePlan } from './tiling.ts';

const MARGIN = 28;
const PICTURE = { width: 760, height: 640 };
const PLOT = { width: 380, height: 250 };
const BINS = 36;
const INK = '#1f2933';
const FAINT = '#5b6672';
const KEPT = rgb(KEPT_COLOUR);
const REJECTED = rgb(REJECTED_COLOUR);

/**
 * Draws what `selectTiles` chose.
 *
 * @returns an SVG document; write it as `<slide>.preview.svg`, every browser opens it
 */
export async function renderPreview(
  slide: Slide,
  plan: TilePlan,
  selection: TileSelection,
): Promise<string> {
  const { overview, kept } = selection;
  const chosen = new Set(kept);
  // Without a score, or without any tissue, a tile never was in question: outlines would hide the slide.
  const rejected = [...plan.tiles.keys()].filter((i) => {
    const score = selection.scores[i]!;
    return !chosen.has(i) && (selection.selector === 'none' ? score > 0 : !Number.isNaN(score));
  });
  const png = await previewPicture(overview, plan, kept, rejected);
  const { image } = overview;
  const fit = Math.min(PICTURE.width / image.width, PICTURE.height / image.height);
  const size = { width: round(image.width * fit), height: round(image.height * fit) };
  const top = 96;
  const side = MARGIN + size.width + 44;
  const width = side + PLOT.width + MARGIN;
  const height = Math.max(top + size.height + 62, top + PLOT.height + 250);
  const barLength = scaleBar(plan, overview.scaleX / fit, size.width);
  const parts = [
    text(MARGIN, 44, slide.name, 22, INK, 'font-weight="600"'),
    text(MARGIN, 70, subtitle(slide, plan), 13.5, FAINT),
    `<image x="${MARGIN}" y="${top}" width="${size.width}" height="${size.height}" preserveAspectRatio="none" href="data:image/png;base64,${base64(png)}"/>`,
    `<rect x="${MARGIN}" y="${top}" width="${size.width}" height="${size.height}" fill="none" stroke="#c9d0d7"/>`,
    ...bar(MARGIN, top + size.height + 22, barLength),
    ...legend(side, top + 6, kept.length, rejected.length, plan.tiles.length),
    ...histogram(side, top + 150, selection, [...kept, ...rejected]),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(`Tiles of ${slide.name}: ${kept.length} kept, ${rejected.length} rejected`)}" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function subtitle(slide: Slide, plan: TilePlan): string {
  const { width, height } = slide.levels[0]!;
  const overlap = plan.overlap > 0 ? `, ${plan.overlap} px overlap` : '';
  const enlarged = plan.upsampled ? ' (enlarged: the slide is coarser)' : '';
  return `${thousands(width)} × ${thousands(height)} px at ${short(plan.slideMpp)} µm/px  ·  tiles of ${plan.size} px at ${short(plan.mpp)} µm/px${enlarged}${overlap}`;
}

function legend(x: number, y: number, kept: number, rejected: number, all: number): string[] {
  const rows = [
    [KEPT, kept, 'kept'],
    [REJECTED, rejected, 'rejected, outlined and paled'],
  ] as const;
  const lines = rows.flatMap(([colour, count, what], i) => [
    `<rect x="${x + 1}" y="${y + 30 * i}" width="16" height="16" fill="${colour}" fill-opacity="0.12" stroke="${colour}" stroke-width="2.5"/>`,
    text(x + 30, y + 13 + 30 * i, `${thousands(count)} ${what}`, 15, INK),
  ]);
  const rest = all - kept - rejected;
  return [...lines, text(x + 30, y + 73, `${thousands(rest)} without tissue`, 15, FAINT)];
}

/** Stacked bars: rejected scores at the bottom, kept above them; the threshold as a dashed line. */
function histogram(
  x: number,
  y: number,
  { scores, threshold, selector, kept }: TileSelection,
  shown: readonly number[],
): string[] {
  const title = text(x, y - 20, 'Scores of the tiles', 15, INK, 'font-weight="600"');
  if (shown.length === 0) return [title, text(x, y + 24, 'No tile has tissue.', 14, FAINT)];
  const values = shown.map((i) => scores[i]!);
  let low = selector === 'none' || selector === 'otsu' ? 0 : Number.POSITIVE_INFINITY;
  let high = selector === 'none' || selector === 'otsu' ? 1 : Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (high === low) high = low + Math.max(Math.abs(low) * 0.1, 1e-6);
  const binOf = (value: number) =>
    Math.min(Math.floor(((value - low) / (high - low)) * BINS), BINS - 1);
  const counts = { kept: new Float64Array(BINS), rejected: new Float64Array(BINS) };
  // `shown` lists the kept tiles first.
  for (const [position, value] of values.entries()) {
    const bin = binOf(value);
    const side = position < kept.length ? counts.kept : counts.rejected;
    side[bin] = side[bin]! + 1;
  }
  const most = Math.max(...counts.kept.map((count, bin) => count + counts.rejected[bin]!));
  const yTicks = ticks(0, most, 4).filter(Number.isInteger);
  // Room above the bars for the name of the threshold.
  const ceiling = most * 1.12;
  const left = x + 52;
  const inner = PLOT.width - 52;
  const at = (value: number) => round(left + ((value - low) / (high - low)) * inner);
  const up = (count: number) => round(y + PLOT.height * (1 - count / ceiling));
  const out = [title];
  for (const tick of yTicks) {
    out.push(
      `<line x1="${left}" x2="${left + inner}" y1="${up(tick)}" y2="${up(tick)}" stroke="#e3e7eb"/>`,
      text(left - 8, up(tick) + 4, thousands(tick), 12, FAINT, 'text-anchor="end"'),
    );
  }
  const step = inner / BINS;
  for (let bin = 0; bin < BINS; bin++) {
    const rejected = counts.rejected[bin]!;
    const both = rejected + counts.kept[bin]!;
    const box = (from: number, to: number, colour: string) =>
      `<rect x="${round(left + bin * step + 0.5)}" width="${round(step - 1)}" y="${up(to)}" height="${round(up(from) - up(to))}" fill="${colour}"/>`;
    if (rejected > 0) out.push(box(0, rejected, REJECTED));
    if (both > rejected) out.push(box(rejected, both, KEPT));
  }
  const base = y + PLOT.height;
  out.push(
    `<line x1="${left}" x2="${left + inner}" y1="${base}" y2="${base}" stroke="${INK}"/>`,
    ...ticks(low, high, 5).flatMap((tick) => [
      `<line x1="${at(tick)}" x2="${at(tick)}" y1="${base}" y2="${base + 5}" stroke="${INK}"/>`,
      text(at(tick), base + 20, short(tick), 12, FAINT, 'text-anchor="middle"'),
    ]),
    text(left + inner / 2, base + 42, SELECTOR_UNITS[selector], 12.5, INK, 'text-anchor="middle"'),
    `<text transform="translate(${x + 8} ${y + PLOT.height / 2}) rotate(-90)" font-size="12.5" fill="${INK}" text-anchor="middle">tiles</text>`,
    ...thresholdMark(threshold, low, high, at, y, base),
  );
  return out;
}

function thresholdMark(
  threshold: number,
  low: number,
  high: number,
  at: (value: number) => number,
  top: number,
  base: number,
): string[] {
  if (!(threshold >= low && threshold <= high)) {
    const where = threshold > high ? 'above all scores' : 'below all scores';
    const label = Number.isFinite(threshold) ? `threshold ${short(threshold)}, ${where}` : '';
    return label ? [text(at(low), base + 64, label, 12.5, INK)] : [];
  }
  const x = at(threshold);
  const right = threshold > (low + high) / 2;
  return [
    `<line x1="${x}" x2="${x}" y1="${top - 4}" y2="${base}" stroke="${INK}" stroke-width="1.5" stroke-dasharray="5 3"/>`,
    `<text x="${right ? x - 6 : x + 6}" y="${top + 8}" font-size="12.5" fill="${INK}" stroke="#ffffff" stroke-width="4" paint-order="stroke" text-anchor="${right ? 'end' : 'start'}">threshold ${short(threshold)}</text>`,
  ];
}

/** A round length of at most a quarter of the picture, with how many SVG units it takes. */
function scaleBar(plan: TilePlan, pixelsPerUnit: number, width: number) {
  const micrometres = plan.slideMpp * pixelsPerUnit;
  const most = (width / 4) * micrometres;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = power * (most / power >= 5 ? 5 : most / power >= 2 ? 2 : 1);
  const label = length >= 1000 ? `${short(length / 1000)} mm` : `${short(length)} µm`;
  return { units: round(length / micrometres), label };
}

function bar(x: number, y: number, { units, label }: { units: number; label: string }): string[] {
  return [
    `<path d="M${x} ${y - 5}v10M${x} ${y}h${units}m0 -5v10" stroke="${INK}" stroke-width="2" fill="none"/>`,
    text(x + units + 10, y + 5, label, 13, INK),
  ];
}

/** Round numbers from `low` to `high`, about `count` of them. */
function ticks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

function text(
  x: number,
  y: number,
  content: string,
  size: number,
  colour: string,
  more = '',
): string {
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" fill="${colour}" ${more}>${escapeXml(content)}</text>`;
}

/** XML text; control characters, which XML has no way to write, become spaces. */
function escapeXml(value: string): string {
  return value
    .replace(/\p{Cc}/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function short(value: number): string {
  return Math.abs(value) >= 10_000
    ? thousands(Math.round(value))
    : `${Number(value.toPrecision(4))}`;
}

function thousands(value: number): string {
  return value.toLocaleString('en');
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function rgb([r, g, b]: readonly [number, number, number]): string {
  return `rgb(${r},${g},${b})`;
}

function base64(bytes: Uint8Array): string {
  // In pieces, because the arguments of one call are limited.
  let binary = '';
  for (let i = 0; i < bytes.length; i += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  }
  return btoa(binary);
}
