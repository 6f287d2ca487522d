/** OpenSeadragon as we use it: a picture in tiles that comes from the engine, or a blank ground; no controls of its own. */
import type OpenSeadragon from 'openseadragon';
import type { SlideSummary } from '../protocol.ts';
import type { ViewTransform } from './overlay.ts';
import type { Extent } from './places.ts';

export type ReadTile = (level: number, column: number, row: number) => Promise<ImageBitmap>;

export interface DeepZoomOptions {
  readonly host: HTMLElement;
  /** What is seen of the slide at first, in its pixels; null: all of the picture. */
  readonly home: Extent | null;
  readonly picture: SlideSummary['picture'];
  readonly readTile: ReadTile;
  /** After every frame that was drawn. */
  readonly onFrame: () => void;
}

/** A picture may be enlarged this much, so that single cells can be looked at. */
const MAX_ENLARGEMENT = 8;
/** A tile may wait behind a training step. */
const TILE_TIMEOUT = 120_000;
const TILES_AT_ONCE = 4;
/** By hand. */
const MOVES = ['canvas-drag', 'canvas-scroll', 'canvas-pinch', 'canvas-double-click'] as const;
/** Neither a picture nor places: still a viewer. */
const NOTHING: Extent = { x: 0, y: 0, width: 1, height: 1 };

export class DeepZoom {
  readonly #viewer: OpenSeadragon.Viewer;
  /** The whole picture, or what there is without one. */
  readonly #extent: Extent;
  readonly #home: OpenSeadragon.Rect;
  /** Nobody has moved it since: a new size of the window shows all places again. */
  #atHome = true;
  #resized = false;

  /** Comes back when it shows something. */
  static async open(options: DeepZoomOptions): Promise<DeepZoom> {
    const { default: OpenSeadragon } = await import('openseadragon');
    const zoom = new DeepZoom(OpenSeadragon, options);
    await new Promise<void>((resolve) => {
      if (zoom.#viewer.isOpen()) resolve();
      else zoom.#viewer.addOnceHandler('open', () => resolve());
    });
    zoom.home(true);
    return zoom;
  }

  private constructor(OSD: typeof OpenSeadragon, options: DeepZoomOptions) {
    const { host, picture, readTile } = options;
    this.#extent = picture ? { x: 0, y: 0, ...sizeOf(picture) } : (options.home ?? NOTHING);
    const seen = within(options.home ?? this.#extent, this.#extent);
    this.#home = new OSD.Rect(
      (seen.x - this.#extent.x) / this.#extent.width,
      (seen.y - this.#extent.y) / this.#extent.width,
      seen.width / this.#extent.width,
      seen.height / this.#extent.width,
    );
    const maxLevel = picture ? picture.levels - 1 : 0;
    class EngineTiles extends OSD.TileSource {
      override getTileUrl(level: number, x: number, y: number): string {
        // Never fetched: only the name of the tile in the viewer's cache.
        return `${level}/${x}/${y}`;
      }
      override tileExists(level: number, x: number, y: number): boolean {
        return picture !== null && super.tileExists(level, x, y);
      }
      override downloadTileStart(job: OpenSeadragon.ImageJob): void {
        const { level, x, y } = job.tile;
        readTile(maxLevel - level, x, y).then(
          (bitmap) => job.finish(drawn(bitmap), null, 'context2d'),
          (error) => job.fail(String(error?.problem ?? error), null),
        );
      }
      override downloadTileAbort(): void {}
    }
    this.#viewer = OSD({
      element: host,
      tileSources: new EngineTiles({
        width: this.#extent.width,
        height: this.#extent.height,
        tileSize: picture?.tileSize ?? 256,
        tileOverlap: 0,
        minLevel: 0,
        maxLevel,
      }),
      drawer: 'canvas',
      showNavigationControl: false,
      keyboardNavEnabled: false,
      tabIndex: -1,
      visibilityRatio: 0.3,
      minZoomImageRatio: 0.6,
      maxZoomPixelRatio: picture ? MAX_ENLARGEMENT : 64,
      animationTime: 0.4,
      imageLoaderLimit: TILES_AT_ONCE,
      timeout: TILE_TIMEOUT,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsPen: { clickToZoom: false, dblClickToZoom: true },
    });
    this.#viewer.addHandler('update-viewport', options.onFrame);
    for (const moved of MOVES) {
      this.#viewer.addHandler(moved, () => {
        this.#atHome = false;
      });
    }
    // The viewer fits a new size in its own way first, and then tells of the change.
    this.#viewer.addHandler('after-resize', () => {
      this.#resized = true;
    });
    this.#viewer.addHandler('viewport-change', () => {
      if (this.#resized && this.#atHome) this.home(true);
      this.#resized = false;
    });
  }

  /** Where the slide is now, in CSS pixels of the host; null before it is open. */
  transform(): ViewTransform | null {
    const { viewport } = this.#viewer;
    if (!viewport || !this.#viewer.isOpen()) return null;
    const bounds = viewport.getBounds(true);
    const scale = viewport.getContainerSize().x / bounds.width;
    const zoom = scale / this.#extent.width;
    return {
      zoom,
      x: -bounds.x * scale - this.#extent.x * zoom,
      y: -bounds.y * scale - this.#extent.y * zoom,
    };
  }

  zoomBy(factor: number): void {
    this.#atHome = false;
    this.#viewer.viewport.zoomBy(factor);
    this.#viewer.viewport.applyConstraints();
  }

  /** By shares of what is seen. */
  panBy(x: number, y: number): void {
    this.#atHome = false;
    const { viewport } = this.#viewer;
    const bounds = viewport.getBounds();
    const centre = viewport.getCenter();
    centre.x += bounds.width * x;
    centre.y += bounds.height * y;
    viewport.panTo(centre);
    viewport.applyConstraints();
  }

  home(immediately = false): void {
    this.#atHome = true;
    this.#viewer.viewport.fitBounds(this.#home, immediately);
  }

  /** Brings a point of the slide into view, when it is not. */
  reveal(x: number, y: number): void {
    const { viewport } = this.#viewer;
    if (!this.transform()) return;
    const bounds = viewport.getBounds();
    const point = viewport.getCenter();
    point.x = (x - this.#extent.x) / this.#extent.width;
    point.y = (y - this.#extent.y) / this.#extent.width;
    if (bounds.containsPoint(point)) return;
    this.#atHome = false;
    viewport.panTo(point);
  }

  /** Shows at once what the other shows. */
  follow(other: DeepZoom): void {
    if (!this.transform() || !other.transform()) return;
    this.#atHome = other.#atHome;
    const from = other.#viewer.viewport;
    const to = this.#viewer.viewport;
    to.zoomTo(from.getZoom(true), undefined, true);
    to.panTo(from.getCenter(true), true);
  }

  close(): void {
    this.#viewer.destroy();
  }
}

/** As the viewer keeps tiles itself; it would not close the bitmap, whose memory no collector of garbage sees. */
function drawn(bitmap: ImageBitmap): CanvasRenderingContext2D | null {
  const { width, height } = bitmap;
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context;
}

function sizeOf({ width, height }: NonNullable<SlideSummary['picture']>) {
  return { width, height };
}

/** The part of `inner` that lies in `outer`; all of `outer` where there is none. */
function within(inner: Extent, outer: Extent): Extent {
  const x = Math.max(inner.x, outer.x);
  const y = Math.max(inner.y, outer.y);
  const width = Math.min(inner.x + inner.width, outer.x + outer.width) - x;
  const height = Math.min(inner.y + inner.height, outer.y + outer.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : outer;
}
