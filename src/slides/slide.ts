/** What every slide offers, whatever file it comes from. */

/** One resolution of a slide. */
export interface SlideLevel {
  readonly width: number;
  readonly height: number;
  /** Level-0 pixels per pixel of this level. */
  readonly downsample: number;
}

export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** RGB, row-major, 3 bytes a pixel. */
  readonly data: Uint8Array;
}

export interface Slide {
  /** The file's name, for messages and outputs. */
  readonly name: string;
  readonly format: SlideFormat;
  /** 0 is the largest; each later level is smaller. */
  readonly levels: readonly SlideLevel[];
  /** Micrometres per level-0 pixel; null when the file does not say. */
  readonly mpp: number | null;
  /** Magnification of the scan (20, 40); null when the file does not say. */
  readonly objectivePower: number | null;
  /**
   * Pixels of a level: x, y in that level's pixels; outside the slide white.
   * Throws `slide-*` errors for a damaged tile.
   */
  readRegion(level: number, x: number, y: number, width: number, height: number): Promise<RgbImage>;
  close(): Promise<void> | void;
}

export type SlideFormat = 'aperio-svs' | 'tiff' | 'ome-tiff' | 'dicom' | 'jpeg' | 'png';
