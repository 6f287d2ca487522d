/** What training, maps and scores need of the data that are open. */
import type { ExpressionTransform } from '../../data/expression-transform.ts';
import type { PatchFeatures } from '../../data/features.ts';
import type { BagSource } from '../../training/bag-source.ts';
import type { DatasetSummary, Places } from '../protocol.ts';

/** How far something is whose length is known. */
export type OnTask = (label: string, done: number, total: number) => void;

export interface Dataset {
  readonly summary: DatasetSummary;
  /** One bag per sample (slide or spot), with its patient: what is trained on. */
  readonly source: BagSource;
  /** [samples, genes], row-major, in `summary.unit`; null without expression. */
  readonly targets: Float32Array | null;
  /** What the library did to the table's values to get `targets`: goes into the model file. */
  readonly transform: ExpressionTransform;
  /** The slide (index into `summary.slides`) of every sample. */
  readonly slideOfSample: Uint32Array;
  /**
   * Features of a slide's places, one row each in the order of `places`. In a set of kind `spots` a place is a sample:
   * a slide's samples come in the order of its places.
   */
  placeFeatures(slide: number): Promise<PatchFeatures>;
  places(slide: number): Promise<Places>;
  /** Truth of a gene at the slide's places; null where it is not known per place. */
  observed(slide: number, gene: number): Float32Array | null;
  /** A square of the picture of `SlideSummary.picture`; level 0 is the largest, each next half as large. */
  pictureTile(slide: number, level: number, column: number, row: number): Promise<ImageBitmap>;
  /** Mean Pearson that a perfect model would reach on these samples; null for real data. */
  reachable(samples: readonly number[]): number | null;
  /** A model that came among the dropped files, to predict with. */
  readonly model?: { readonly name: string; readonly bytes: Uint8Array };
  /** All that is needed to open it again after a reload: kept beside the run in browser storage. */
  save(folder: DatasetFolder): Promise<void>;
  close(): Promise<void>;
}

/** A folder in the browser's storage. */
export interface DatasetFolder {
  read(name: string): Promise<File | null>;
  write(name: string, content: Uint8Array<ArrayBuffer> | Blob): Promise<void>;
}
