/**
 * Which expression sample belongs to which slide.
 *
 * A slide takes the sample that has its id, else its patient's name. TCGA names differ between the two files
 * (https://docs.gdc.cancer.gov/Encyclopedia/pages/TCGA_Barcode): a slide TCGA-A1-A0SB-01Z-00-DX1.<uuid> belongs to the
 * sample TCGA-A1-A0SB-01 (patient and sample type, as UCSC Xena has it) or TCGA-A1-A0SB-01A-11R-A144-07 (an aliquot).
 */
import { HistogradError } from '../errors.ts';

const PATIENT = /^TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}/i;
const SAMPLE = /^TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}-\d{2}/i;

/** The patient in a TCGA barcode (`TCGA-XX-XXXX`); any other name is its own patient. */
export function defaultPatient(slideId: string): string {
  return PATIENT.exec(slideId)?.[0].toUpperCase() ?? slideId;
}

/** The names under which a slide's sample may be found, best first. */
function sampleKeys(slideId: string, patient: string): string[] {
  const sample = SAMPLE.exec(slideId)?.[0].toUpperCase();
  return sample === undefined ? [slideId, patient] : [slideId, sample, patient];
}

/** Whether a name in an expression table is a sample of one of the slides. */
export function sampleMatcher(
  slides: readonly { readonly id: string; readonly patient: string }[],
): (sample: string) => boolean {
  const keys = new Set(slides.flatMap(({ id, patient }) => sampleKeys(id, patient)));
  return (sample) => keys.has(sample) || keys.has(SAMPLE.exec(sample)?.[0].toUpperCase() ?? sample);
}

/**
 * The row of each slide in an expression table; undefined where it has none. Several slides may share a row.
 *
 * @throws HistogradError `ambiguous-sample` when a slide matches several aliquots of the same TCGA sample
 */
export function matchSamples(
  slides: readonly { readonly id: string; readonly patient: string }[],
  samples: readonly string[],
  name: string,
): (number | undefined)[] {
  const exact = new Map(samples.map((sample, row) => [sample, row]));
  const bySample = new Map<string, number[]>();
  for (const [row, sample] of samples.entries()) {
    const short = SAMPLE.exec(sample)?.[0].toUpperCase();
    if (short !== undefined) bySample.set(short, [...(bySample.get(short) ?? []), row]);
  }
  return slides.map(({ id, patient }) => {
    for (const key of sampleKeys(id, patient)) {
      const row = exact.get(key);
      if (row !== undefined) return row;
      const aliquots = bySample.get(key) ?? [];
      if (aliquots.length > 1) {
        throw new HistogradError(
          'ambiguous-sample',
          `${name}: slide ${id} belongs to ${aliquots.length} samples: ${aliquots.map((i) => samples[i]).join(', ')}.`,
          `Keep one of them, or name it ${key}.`,
        );
      }
      if (aliquots[0] !== undefined) return aliquots[0];
    }
    return undefined;
  });
}
