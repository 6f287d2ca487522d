/** Micrometres per pixel and objective power from what files say. */
import type { TiffPage } from './tiff-pages.ts';

/** Slides are scanned at 0.1 to 10; 72 and 96 dots per inch, which programs write unasked, would be 353 and 265. */
const SMALLEST_MPP = 0.01;
const LARGEST_MPP = 40;

export function plausibleMpp(value: number | undefined | null): number | null {
  return value != null && value >= SMALLEST_MPP && value <= LARGEST_MPP ? value : null;
}

export function plausiblePower(value: number | undefined | null): number | null {
  return value != null && value > 0 && value <= 1000 ? value : null;
}

/** TIFF's resolution tags. */
export function resolutionMpp(page: TiffPage): number | null {
  if (page.resolution === null) return null;
  const { x, y, unit } = page.resolution;
  const micrometres = unit === 2 ? 25_400 : unit === 3 ? 10_000 : Number.NaN;
  return plausibleMpp((micrometres / x + micrometres / y) / 2);
}

/** A field of Aperio's ImageDescription: `...|AppMag = 20|MPP = 0.4990|...`. */
export function aperioField(description: string, field: string): number | null {
  const value = new RegExp(`\\|\\s*${field}\\s*=\\s*([0-9.]+)`).exec(description)?.[1];
  return value === undefined ? null : Number.parseFloat(value);
}

export interface OmeImage {
  readonly name: string;
  readonly mpp: number | null;
  readonly objectivePower: number | null;
  readonly channels: number;
  /** The page that holds it. */
  readonly page: number;
}

/** Units of PhysicalSizeX in micrometres; OME's default is the micrometre. */
const UNITS: Readonly<Record<string, number>> = {
  m: 1e6,
  cm: 1e4,
  mm: 1e3,
  µm: 1,
  μm: 1,
  um: 1,
  nm: 1e-3,
  pm: 1e-6,
  Å: 1e-4,
  in: 25_400,
};

/** The images of an OME-XML. Attributes are read as text: no entities are resolved, nothing is fetched. */
export function omeImages(xml: string): OmeImage[] {
  const magnification = /<Objective\b[^<>]*?\bNominalMagnification="([^"]+)"/.exec(xml)?.[1];
  const images = xml.split(/<(?:[\w.-]+:)?Image\b/).slice(1);
  return images.map((image) => {
    const head = image.slice(0, image.indexOf('>'));
    const pixels = /<(?:[\w.-]+:)?Pixels\b[^<>]*>/.exec(image)?.[0] ?? '';
    const [x, y] = ['X', 'Y'].map((axis) => {
      const unit = attribute(pixels, `PhysicalSize${axis}Unit`) ?? 'µm';
      return (
        Number(attribute(pixels, `PhysicalSize${axis}`)) *
        (UNITS[decodeEntities(unit)] ?? Number.NaN)
      );
    });
    const data = /<(?:[\w.-]+:)?TiffData\b[^<>]*>/.exec(image)?.[0] ?? '';
    return {
      name: attribute(head, 'Name') ?? '',
      mpp: plausibleMpp((x! + (y! > 0 ? y! : x!)) / 2),
      objectivePower: plausiblePower(Number(magnification)),
      channels: Number(attribute(pixels, 'SizeC') ?? 1),
      page: Number(attribute(data, 'IFD') ?? 0),
    };
  });
}

function attribute(element: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(element)?.[1];
}

function decodeEntities(text: string): string {
  return text.replace(/&#(?:x([0-9a-f]{1,6})|(\d{1,7}));/gi, (_, hex, decimal) => {
    const code = hex ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : '';
  });
}
