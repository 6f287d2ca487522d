/**
 * histograd: gene expression from histology slides, trained on WebGPU by hand-written kernels.
 *
 * Importing touches no GPU: `Device.open()` does. This entry runs in browsers and in Node;
 * `histograd` resolves to `index.node.ts` in Node, which adds what needs files.
 */
export { Parameter } from './autograd/parameter.ts';
export { backward, noGrad } from './autograd/tape.ts';
export { type PatchFeatures, parseFeatures } from './data/features.ts';
export type { PackedBags } from './data/packed-bags.ts';
export {
  parseSafetensors,
  type Safetensor,
  type Safetensors,
  serializeSafetensors,
} from './data/safetensors.ts';
export { HistogradError } from './errors.ts';
export type { AdapterClass, AdapterRequest, ChosenAdapter } from './gpu/adapter.ts';
export { Device, type DeviceOptions } from './gpu/device.ts';
export { type Diagnosis, diagnose, formatDiagnosis } from './gpu/doctor.ts';
export { type Evaluation, evaluatePredictions } from './metrics/evaluate.ts';
export { pearson } from './metrics/pearson.ts';
export { CONTRASTIVE, Contrastive, type ContrastiveOptions } from './models/contrastive.ts';
export { DIRECT_ABMIL, DirectAbmil, type DirectAbmilOptions } from './models/direct-abmil.ts';
export {
  DIRECT_PATCH_LEVEL,
  DirectPatchLevel,
  type DirectPatchLevelOptions,
} from './models/direct-patch-level.ts';
export { KNN, Knn, type KnnOptions } from './models/knn.ts';
export {
  type Bags,
  ExpressionModel,
  type ModelContext,
  type ModelSizes,
  type Prediction,
  type TrainingSet,
} from './models/model.ts';
export { createModel, MODEL_KINDS, type ModelKind, modelDefaults } from './models/registry.ts';
export { RIDGE, Ridge, type RidgeOptions } from './models/ridge.ts';
export { AttentionPool, type AttentionPoolOptions } from './nn/attention-pool.ts';
export { Dropout, type Init, LayerNorm, Linear } from './nn/layers.ts';
export { Module, type StateTensor } from './nn/module.ts';
export { add, div, mul, sub } from './ops/binary.ts';
export { crossEntropy } from './ops/cross-entropy.ts';
export { dropout } from './ops/dropout.ts';
export { gatherRows } from './ops/gather-rows.ts';
export { infoNce } from './ops/info-nce.ts';
export { l2Normalize } from './ops/l2-normalize.ts';
export { layerNorm } from './ops/layer-norm.ts';
export { concat, permute, reshape, slice } from './ops/layout.ts';
export { linear, matmul } from './ops/matmul.ts';
export { mse } from './ops/mse.ts';
export { max, mean, sum } from './ops/reduce.ts';
export { segmentMean, segmentSoftmax, segmentSum, segmentWeightedSum } from './ops/segment.ts';
export { logSoftmax, softmax } from './ops/softmax.ts';
export { affine, exp, gelu, log, neg, relu, sigmoid, sqrt, square, tanh } from './ops/unary.ts';
export { AdamW, type AdamWOptions } from './optim/adamw.ts';
export { clipGradNorm } from './optim/grad-norm.ts';
export { type Schedule, scheduleFactor } from './optim/schedule.ts';
export {
  TILE_STATISTICS,
  TILE_STATISTICS_VERSION,
  tileStatistics,
} from './slides/tile-statistics.ts';
export { type Draw, Generator, normal, uniform } from './tensor/random.ts';
export { keep, scope } from './tensor/scope.ts';
export { Segments } from './tensor/segments.ts';
export { type DType, type Shape, Tensor, type TensorData } from './tensor/tensor.ts';
export type { BagSource } from './training/bag-source.ts';
export { type CrossValidation, crossValidate } from './training/cross-validate.ts';
export { TRAIN_DEFAULTS, type TrainOptions, type TrainTask } from './training/task.ts';
export { type TrainResult, train } from './training/train.ts';
export { parseModel, serializeModel } from './training/trained-model.ts';
