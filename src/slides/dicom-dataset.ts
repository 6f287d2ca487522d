/** The elements of a DICOM file as dcmjs parses them. */
import { orDamaged } from './slide-errors.ts';

/** Elements by tag, eight hexadecimal digits. */
export type Dataset = Readonly<Record<string, unknown>>;

/** @param header as `walkDicom` gives it */
export async function parseDataset(name: string, header: ArrayBuffer): Promise<Dataset> {
  const { default: dcmjs } = await import('dcmjs');
  dcmjs.log.getLogger('validation.dcmjs').setLevel('silent', false);
  return orDamaged(name, 'its DICOM elements cannot be parsed', () =>
    dcmjs.data.DicomMessage.readFile(header),
  ).then(({ dict }) => dict);
}

export function isDataset(value: unknown): value is Dataset {
  return typeof value === 'object' && value !== null;
}

export function valuesOf(data: Dataset | undefined, tag: string): readonly unknown[] {
  const element = data?.[tag];
  const values = isDataset(element) ? element.Value : undefined;
  return Array.isArray(values) ? values : [];
}

export function itemOf(data: Dataset, tag: string): Dataset | undefined {
  return valuesOf(data, tag).find(isDataset);
}

export function numberOf(data: Dataset, tag: string): number | undefined {
  const value = valuesOf(data, tag)[0];
  return typeof value === 'number' || typeof value === 'string' ? Number(value) : undefined;
}

export function textOf(data: Dataset, tag: string): string | undefined {
  const value = valuesOf(data, tag)[0];
  return typeof value === 'string' ? value : undefined;
}
