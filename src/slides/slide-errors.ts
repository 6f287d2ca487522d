import { HistogradError } from '../errors.ts';

/** The file breaks its own format's rules, or ends too early. */
export function damagedSlide(
  name: string,
  problem: string,
  options?: ErrorOptions,
): HistogradError {
  return new HistogradError(
    'slide-damaged',
    `${name}: ${problem}.`,
    'Copy the file again from where it came from and compare the sizes; if it is whole, open it in QuPath and export it as an OME-TIFF.',
    options,
  );
}

/** The file may be sound, but holds what this reader does not read. */
export function unsupportedSlide(
  name: string,
  problem: string,
  options?: ErrorOptions,
): HistogradError {
  return new HistogradError(
    'slide-unsupported',
    `${name}: ${problem}.`,
    "Convert it to a tiled pyramid first: vips tiffsave IN OUT.tif --tile --pyramid --compression jpeg, or QuPath's export as OME-TIFF.",
    options,
  );
}

/** Runs `work`; whatever it throws other than a HistogradError becomes a `slide-damaged` one. */
export async function orDamaged<T>(
  name: string,
  what: string,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof HistogradError) throw cause;
    // The codecs throw the address of a C++ exception, which says nothing.
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    throw damagedSlide(name, `${what}${reason}`, { cause });
  }
}
