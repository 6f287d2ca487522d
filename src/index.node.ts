/** histograd in Node: everything of `index.ts`, and what reads and writes files. */
export { transformExpression } from './data/expression-transform.ts';
export { writeFileAtomic } from './data/node/atomic-write.ts';
export { streamBags } from './data/node/bag-stream.ts';
export { type Cohort, type CohortOptions, loadCohort } from './data/node/cohort.ts';
export { readH5adFile } from './data/node/h5ad-file.ts';
export {
  type LegacyFiles,
  listLegacySections,
  readLegacySection,
  readLegacySt,
} from './data/node/legacy-st-folder.ts';
export { readPackSection } from './data/node/pack-section.ts';
export { readCheckpoint } from './data/node/read-checkpoint.ts';
export { readExpressionTable } from './data/node/read-expression.ts';
export { readFeatureShape, readFeatures } from './data/node/read-features.ts';
export { makeStBags, type StBagsOptions } from './data/node/st-bags.ts';
export { readStSpots, type StSpotSection, type StSpots } from './data/node/st-spots.ts';
export { readVisium, type VisiumOptions } from './data/node/visium-folder.ts';
export { kFoldSplits, leaveOnePatientOut, type Split, splitsFromCsv } from './data/splits.ts';
export * from './index.ts';
export { openSlide } from './slides/node/open-slide.ts';
export { cohortSource } from './training/cohort-source.ts';
export { openRunFolder } from './training/run-folder.ts';
