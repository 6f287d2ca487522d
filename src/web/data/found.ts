/** What a dropped file was found to be, by its content. */
import type { FeatureSettings } from '../../data/feature-settings.ts';
import type { FeatureFormat } from '../../data/features.ts';
import type { ExtractorName } from '../../models/extractors/registry.ts';
import type { DroppedFile } from '../protocol.ts';

/** A table of numbers: its first line and the names of its first lines. */
interface TableStart {
  readonly header: readonly string[];
  readonly firstNames: readonly string[];
}

export type Found =
  | {
      readonly is: 'features';
      readonly format: FeatureFormat;
      readonly rows: number;
      readonly width: number;
      readonly settings?: FeatureSettings;
    }
  | { readonly is: 'expression'; readonly table: TableStart }
  | { readonly is: 'patients' }
  /** 10x Visium. */
  | { readonly is: 'positions' }
  | { readonly is: 'scales' }
  | { readonly is: 'matrix-10x' }
  | { readonly is: 'mtx' }
  | { readonly is: 'barcodes' }
  | { readonly is: 'feature-list' }
  | { readonly is: 'h5ad' }
  /** Legacy Spatial Transcriptomics. */
  | { readonly is: 'legacy-counts' }
  | { readonly is: 'spot-file' }
  | { readonly is: 'alignment' }
  /** A pack (see `histograd data st-bags`). */
  | { readonly is: 'pack-sections' }
  | { readonly is: 'pack-genes' }
  | { readonly is: 'pack-spots' }
  | { readonly is: 'pack-counts' }
  | { readonly is: 'picture'; readonly format: 'jpeg' | 'png' | 'tiff' | 'dicom' }
  | { readonly is: 'model'; readonly width: number; readonly features?: FeatureSettings }
  | { readonly is: 'weights'; readonly extractor: ExtractorName }
  /** Not data, or not usable; the note says why. */
  | { readonly is: 'ignored'; readonly note: string | null };

export type Kind = Found['is'];

/** A file and what it is. */
export type Sniffed<K extends Kind = Kind> = DroppedFile & Extract<Found, { is: K }>;

/** The files of one kind. */
export function ofKind<K extends Kind>(files: readonly Sniffed[], kind: K): Sniffed<K>[] {
  return files.filter((file): file is Sniffed<K> => file.is === kind);
}
