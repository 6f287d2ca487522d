/** A small writer of DICOM whole-slide images, explicit little-endian. */

type Value = string | number | readonly Value[] | readonly DicomElements[] | Uint8Array;
/** Tag in hex to its value representation and value. */
type DicomElements = Record<string, readonly [string, Value]>;

const LONG = new Set(['OB', 'OW', 'OV', 'SQ', 'UN', 'UT']);

export interface DicomSpec {
  readonly transferSyntax?: string;
  /** Added to or put in place of the usual elements; null leaves one out. */
  readonly elements?: Record<string, DicomElements[string] | null>;
  /** Encapsulated when an array. */
  readonly pixels?: Uint8Array | readonly Uint8Array[];
  /** For encapsulated pixels. */
  readonly offsetTable?: boolean;
}

/** 20 x 14 pixels in frames of 8 x 8; a pixel is (x, y, 20). */
export function dicomFile({
  transferSyntax,
  elements = {},
  pixels,
  offsetTable = false,
}: DicomSpec = {}): Uint8Array<ArrayBuffer> {
  const usual: Record<string, DicomElements[string] | null> = {
    '00080008': ['CS', 'ORIGINAL\\PRIMARY\\VOLUME\\NONE'],
    '0020000E': ['UI', '1.2.3'],
    '00209311': ['CS', 'TILED_FULL'],
    '00280002': ['US', 3],
    '00280004': ['CS', 'RGB'],
    '00280006': ['US', 0],
    '00280008': ['IS', '6'],
    '00280010': ['US', 8],
    '00280011': ['US', 8],
    '00280100': ['US', 8],
    '00480006': ['UL', 20],
    '00480007': ['UL', 14],
    '00480105': ['SQ', [{ '00480112': ['DS', '40'] }]],
    '52009229': ['SQ', [{ '00289110': ['SQ', [{ '00280030': ['DS', '0.00025\\0.00025'] }]] }]],
    ...elements,
  };
  const kept: DicomElements = {};
  for (const [tag, element] of Object.entries(usual)) if (element) kept[tag] = element;
  const data =
    pixels ??
    frames(20, 14, 8).reduce((all, frame) => Buffer.concat([all, frame]), Buffer.alloc(0));
  const meta = dataset({ '00020010': ['UI', transferSyntax ?? '1.2.840.10008.1.2.1'] });
  return Uint8Array.from(
    Buffer.concat([
      Buffer.alloc(128),
      Buffer.from('DICM'),
      dataset({ '00020000': ['UL', meta.length] }),
      meta,
      dataset(kept),
      data instanceof Uint8Array
        ? element('7FE00010', 'OW', data)
        : encapsulated(data, offsetTable),
    ]),
  );
}

/** Raw RGB frames of the picture whose pixel is (x, y, width), row by row. */
export function frames(width: number, height: number, side: number): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      const frame = new Uint8Array(3 * side * side);
      for (let i = 0; i < side * side; i++)
        frame.set([left + (i % side), top + Math.floor(i / side), width], 3 * i);
      all.push(frame);
    }
  }
  return all;
}

function dataset(elements: DicomElements): Buffer {
  const tags = Object.keys(elements).sort();
  return Buffer.concat(tags.map((tag) => element(tag, ...elements[tag]!)));
}

function element(tag: string, vr: string, value: Value): Buffer {
  const body = padded(encode(vr, value), vr);
  return Buffer.concat([tagBytes(tag), Buffer.from(vr), length(vr, body.length), body]);
}

function encode(vr: string, value: Value): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (vr === 'SQ' && Array.isArray(value)) {
    return Buffer.concat(
      value.map((item) => {
        const body = dataset(item);
        return Buffer.concat([item_(body.length), body]);
      }),
    );
  }
  const buffer = Buffer.alloc(vr === 'US' ? 2 : 4);
  if (vr === 'US') buffer.writeUInt16LE(Number(value));
  else if (vr === 'UL' || vr === 'SL') buffer.writeInt32LE(Number(value));
  else return Buffer.from(String(value), 'latin1');
  return buffer;
}

function encapsulated(fragments: readonly Uint8Array[], offsetTable: boolean): Buffer {
  const even = fragments.map((fragment) => padded(Buffer.from(fragment), 'OB'));
  const table = Buffer.alloc(offsetTable ? 4 * even.length : 0);
  let offset = 0;
  even.forEach((fragment, i) => {
    if (offsetTable) table.writeUInt32LE(offset, 4 * i);
    offset += 8 + fragment.length;
  });
  return Buffer.concat([
    tagBytes('7FE00010'),
    Buffer.from('OB\0\0'),
    Buffer.from([255, 255, 255, 255]),
    item_(table.length),
    table,
    ...even.flatMap((fragment) => [item_(fragment.length), fragment]),
    tagBytes('FFFEE0DD'),
    Buffer.alloc(4),
  ]);
}

function item_(size: number): Buffer {
  const head = Buffer.concat([tagBytes('FFFEE000'), Buffer.alloc(4)]);
  head.writeUInt32LE(size, 4);
  return head;
}

function length(vr: string, size: number): Buffer {
  const buffer = Buffer.alloc(LONG.has(vr) ? 6 : 2);
  if (LONG.has(vr)) buffer.writeUInt32LE(size, 2);
  else buffer.writeUInt16LE(size);
  return buffer;
}

function tagBytes(tag: string): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0);
  buffer.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2);
  return buffer;
}

function padded(body: Buffer, vr: string): Buffer {
  return body.length % 2 === 0
    ? body
    : Buffer.concat([body, Buffer.from(vr === 'UI' || vr === 'OB' ? '\0' : ' ')]);
}
