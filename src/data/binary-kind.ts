/** Telling text from other files, by the first bytes. */

const KINDS: readonly (readonly [kind: string, start: string])[] = [
  ['a PNG picture', '\x89PNG'],
  ['a JPEG picture', '\xff\xd8\xff'],
  ['a TIFF picture', 'II*\0'],
  ['a TIFF picture', 'MM\0*'],
  ['HDF5, as .h5 and .h5ad files are', '\x89HDF'],
  ['a zip archive, as Excel workbooks are', 'PK\x03\x04'],
  ['gzipped, and its name does not end in .gz', '\x1f\x8b'],
  ['a PDF document', '%PDF'],
  ['an old Excel workbook', '\xd0\xcf\x11\xe0'],
  ['text in UTF-16', '\xff\xfe'],
  ['text in UTF-16', '\xfe\xff'],
];
const LOOKED_AT = 4096;

/** What a file is that is not text in UTF-8, in words; undefined when its beginning may be that. */
export function binaryKind(bytes: Uint8Array): string | undefined {
  for (const [kind, start] of KINDS) {
    if ([...start].every((c, i) => bytes[i] === c.charCodeAt(0))) return kind;
  }
  return bytes.subarray(0, LOOKED_AT).includes(0) ? 'not text' : undefined;
}
