/** Numbers as a paper prints them. Undefined values (NaN) become an en dash. */

const MISSING = '–';
const INTEGER = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });
const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** A number with a real minus sign, and no negative zero. */
function signed(text: string): string {
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text.replace('-', '−');
}

/** `0.412`, `−0.031`. */
export function formatFixed(value: number, digits = 3): string {
  return Number.isFinite(value) ? signed(value.toFixed(digits)) : MISSING;
}

/** `20,530`. */
export function formatInteger(value: number): string {
  return Number.isFinite(value) ? signed(INTEGER.format(value)) : MISSING;
}

/** Three significant digits: `0.0213`, `1.98`, `412`, `3.1 × 10⁻⁷`. */
export function formatSignificant(value: number): string {
  if (!Number.isFinite(value)) return MISSING;
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) {
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(size)));
    return size >= 1000 ? formatInteger(value) : signed(value.toFixed(decimals));
  }
  return formatPower(value);
}

function formatPower(value: number): string {
  const [mantissa, exponent] = value.toExponential(1).split('e');
  const raised = [...String(Math.abs(Number(exponent)))].map(
    (digit) => SUPERSCRIPTS[Number(digit)],
  );
  return `${signed(mantissa!)} × 10${Number(exponent) < 0 ? '⁻' : ''}${raised.join('')}`;
}

/** A p- or q-value: `0.043`, `3.1 × 10⁻⁷`, `< 10⁻³⁰⁰` where it underflowed. */
export function formatProbability(p: number): string {
  if (!Number.isFinite(p)) return MISSING;
  if (p < 1e-300) return '< 10⁻³⁰⁰';
  return p < 1e-3 ? formatPower(p) : formatFixed(p);
}

/** `850`, `12.3 k`, `1.31 M`. */
export function formatCompact(value: number): string {
  if (!Number.isFinite(value)) return MISSING;
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e4],
  ] as const) {
    if (value >= size) return `${(value / (unit === 'k' ? 1e3 : size)).toPrecision(3)} ${unit}`;
  }
  return formatInteger(value);
}

/** `19.5 µs`, `12.0 ms`, `0.85 s`, `42 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return MISSING;
  if (seconds > 0 && seconds < 1e-4) return `${formatSignificant(seconds * 1e6)} µs`;
  if (seconds < 0.1) return `${formatSignificant(seconds * 1000)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${formatInteger(Math.floor(minutes / 60))} h ${pad(minutes % 60)} min`;
}

const pad = (value: number): string => String(value).padStart(2, '0');

/** Binary units: `512 KiB`, `1.25 GiB`. */
export function formatBytes(bytes: number | undefined): string {
  if (bytes === undefined || !Number.isFinite(bytes)) return MISSING;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? formatInteger(value) : formatSignificant(value)} ${units[unit]}`;
}

/** `3 slides`, `1 slide`. */
export function formatCount(count: number, noun: string): string {
  return `${formatInteger(count)} ${noun}${count === 1 ? '' : 's'}`;
}
