/** How many times as long; two digits, rounded down: what is 4.998 times as fast is not five times as fast. */
export function ratioDown(ratio: number): string {
  const power = Math.floor(Math.log10(ratio)) - 1;
  const scale = 10 ** Math.abs(power);
  const digits = Math.floor(power < 0 ? ratio * scale : ratio / scale);
  const value = power < 0 ? digits / scale : digits * scale;
  return value.toFixed(Math.max(0, -power));
}
