/**
 * Where the elements of a DICOM file lie: a walk by range reads up to the pixels.
 *
 * dcmjs parses only a file that is in memory as a whole. So the walk passes over what nobody asked for (a slide of
 * 100,000 frames has tens of megabytes of positions), and dcmjs is given the wanted elements alone.
 */
import { type ByteSource, readBytes } from './byte-source.ts';
import { damagedSlide, unsupportedSlide } from './slide-errors.ts';

export interface DicomLayout {
  /** A DICOM file of the wanted elements, for dcmjs. */
  readonly header: ArrayBuffer;
  readonly transferSyntax: string;
  /** Of the pixel data's value: where it starts, and its bytes; null when it is in fragments. */
  readonly pixelStart: number;
  readonly pixelBytes: number | null;
}

const IMPLICIT = '1.2.840.10008.1.2';
const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2';
const DEFLATED = '1.2.840.10008.1.2.1.99';
const UNDEFINED = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const PIXEL_DATA = 0x7fe00010;
const TRANSFER_SYNTAX = 0x00020010;
/** Value representations with a length of four bytes (PS3.5, 7.1.2). */
const LONG = new Set([
  'OB',
  'OD',
  'OF',
  'OL',
  'OV',
  'OW',
  'SQ',
  'SV',
  'UC',
  'UN',
  'UR',
  'UT',
  'UV',
]);
/** WSI nests four deep. */
const MAX_DEPTH = 8;
const MAX_WANTED_BYTES = 64 * 2 ** 20;
const META_START = 132;

interface Element {
  readonly tag: number;
  readonly representation: string;
  readonly length: number;
}

/**
 * @param wanted whether an element is kept, given what has been kept before it
 * @param last nothing behind this tag is looked at (elements are in the order of their tags); the pixels' place is then unknown
 */
export async function walkDicom(
  source: ByteSource,
  wanted: (tag: number, keptText: (tag: number) => string) => boolean,
  last = PIXEL_DATA,
): Promise<DicomLayout> {
  const cursor = new Cursor(source);
  cursor.position = META_START;
  const kept = new Map<number, Uint8Array>();
  const text = (tag: number) => new TextDecoder('latin1').decode(kept.get(tag));
  let transferSyntax = '';
  let keptBytes = 0;
  for (;;) {
    const start = cursor.position;
    if (start >= source.size) throw damagedSlide(source.name, 'it is a DICOM file without pixels');
    const meta = (await cursor.peekGroup()) === 2;
    const element = await readElement(cursor, !meta && transferSyntax === IMPLICIT);
    if (element.tag === PIXEL_DATA || element.tag > last) {
      const pixelBytes = element.length === UNDEFINED ? null : element.length;
      const header = await join(source, [...kept.values()]);
      return { header, transferSyntax, pixelStart: cursor.position, pixelBytes };
    }
    await skipValue(cursor, element, transferSyntax === IMPLICIT && !meta, 0);
    if (!meta && !wanted(element.tag, text)) continue;
    keptBytes += cursor.position - start;
    if (keptBytes > MAX_WANTED_BYTES) {
      throw unsupportedSlide(
        source.name,
        `its description is larger than ${MAX_WANTED_BYTES} bytes`,
      );
    }
    kept.set(
      element.tag,
      await readBytes(source, start, cursor.position - start, `element ${hex(element.tag)}`),
    );
    if (element.tag === TRANSFER_SYNTAX) {
      transferSyntax = text(TRANSFER_SYNTAX)
        .slice(8)
        .replace(/[\0 ]+$/, '');
      if (transferSyntax === EXPLICIT_BIG_ENDIAN || transferSyntax === DEFLATED) {
        throw unsupportedSlide(
          source.name,
          `it has the transfer syntax ${transferSyntax}, which is not read`,
        );
      }
    }
  }
}

async function readElement(cursor: Cursor, implicit: boolean): Promise<Element> {
  const head = await cursor.take(8);
  const tag = head.getUint16(0, true) * 65536 + head.getUint16(2, true);
  if (implicit || tag === ITEM || tag === ITEM_END || tag === SEQUENCE_END) {
    return { tag, representation: '', length: head.getUint32(4, true) };
  }
  const representation = String.fromCharCode(head.getUint8(4), head.getUint8(5));
  if (!/^[A-Z]{2}$/.test(representation)) {
    throw damagedSlide(cursor.source.name, `element ${hex(tag)} has no value representation`);
  }
  if (!LONG.has(representation)) return { tag, representation, length: head.getUint16(6, true) };
  return { tag, representation, length: (await cursor.take(4)).getUint32(0, true) };
}

/** Moves past an element's value, checking that sequences are well formed and not too deep. */
async function skipValue(
  cursor: Cursor,
  element: Element,
  implicit: boolean,
  depth: number,
): Promise<void> {
  const { length, representation, tag } = element;
  const sequence = representation === 'SQ' || length === UNDEFINED;
  const end = length === UNDEFINED ? Number.POSITIVE_INFINITY : cursor.position + length;
  if (end !== Number.POSITIVE_INFINITY && end > cursor.source.size) {
    throw damagedSlide(cursor.source.name, `element ${hex(tag)} passes the end of the file`);
  }
  if (!sequence) {
    cursor.position = end;
    return;
  }
  if (depth >= MAX_DEPTH)
    throw damagedSlide(cursor.source.name, `element ${hex(tag)} is nested too deep`);
  // A sequence of unknown representation is written implicitly (PS3.5, 6.2.2).
  const inner = implicit || representation === 'UN';
  while (cursor.position < end) {
    const item = await readElement(cursor, inner);
    if (item.tag === SEQUENCE_END && length === UNDEFINED) return;
    if (item.tag !== ITEM)
      throw damagedSlide(cursor.source.name, `sequence ${hex(tag)} holds no items`);
    const itemEnd =
      item.length === UNDEFINED ? Number.POSITIVE_INFINITY : cursor.position + item.length;
    while (cursor.position < itemEnd) {
      const child = await readElement(cursor, inner);
      if (child.tag === ITEM_END) break;
      await skipValue(cursor, child, inner, depth + 1);
    }
  }
}

/** A position in the file, with a window of bytes read ahead. */
class Cursor {
  readonly source: ByteSource;
  position = 0;
  #window = new DataView(new ArrayBuffer(0));
  #start = 0;

  constructor(source: ByteSource) {
    this.source = source;
  }

  async take(length: number): Promise<DataView> {
    const view = await this.#view(length);
    this.position += length;
    return view;
  }

  async peekGroup(): Promise<number> {
    return (await this.#view(2)).getUint16(0, true);
  }

  async #view(length: number): Promise<DataView> {
    if (
      this.position < this.#start ||
      this.position + length > this.#start + this.#window.byteLength
    ) {
      const ahead = Math.max(length, Math.min(65536, this.source.size - this.position));
      const bytes = await readBytes(this.source, this.position, ahead, 'an element');
      this.#window = new DataView(bytes.buffer);
      this.#start = this.position;
    }
    return new DataView(this.#window.buffer, this.position - this.#start, length);
  }
}

async function join(source: ByteSource, elements: readonly Uint8Array[]): Promise<ArrayBuffer> {
  const preamble = await readBytes(source, 0, META_START, 'the preamble');
  const all = new Uint8Array(elements.reduce((sum, element) => sum + element.length, META_START));
  all.set(preamble);
  let at = META_START;
  for (const element of elements) {
    all.set(element, at);
    at += element.length;
  }
  return all.buffer;
}

function hex(tag: number): string {
  const digits = tag.toString(16).padStart(8, '0').toUpperCase();
  return `(${digits.slice(0, 4)},${digits.slice(4)})`;
}
