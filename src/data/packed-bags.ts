/** Some slides' bags, packed: bag b has the rows offsets[b] … offsets[b + 1] − 1. */
export interface PackedBags {
  /** The slides, as indices into the cohort. */
  readonly indices: readonly number[];
  /** [total patches, width], row-major; the consumer may overwrite it. */
  readonly features: Float32Array;
  /** [bags + 1] */
  readonly offsets: Uint32Array;
}
