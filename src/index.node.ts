/** histograd in Node: everything of `index.ts`, and what reads and writes files. */
export { transformExpression } from './data/expression-transform.ts';
export { writeFileAtomic } from './data/node/atomic-write.ts';
export { streamBags } from './data/node/bag-stream.ts';
export { type Cohort, type CohortOptions, loadCohort } from './data/node/cohort.ts';
export { readExpressionTable } from './data/node/read-expression.ts';
export { readFeatureShape, readFeatures } from './data/node/read-features.ts';
export { makeStBags, type StBagsOptions } from './data/node/st-bags.ts';
export { kFoldSplits, leaveOnePatientOut, type Split, splitsFromCsv } from './data/splits.ts';
export * from './index.ts';
export { cohortSource } from './training/cohort-source.ts';
export { openRunFolder } from './training/run-folder.ts';
