/**
 * histograd: gene expression from histology slides, trained on WebGPU by hand-written kernels.
 *
 * Importing touches no GPU: `Device.open()` does. This entry runs in browsers and in Node;
 * `histograd` resolves to `index.node.ts` in Node, which adds what needs files.
 */
export { autocast } from './autograd/autocast.ts';
export { Parameter } from './autograd/parameter.ts';
export { backward, noGrad } from './autograd/tape.ts';
export { type Checkpoint, type CheckpointTensor, parseCheckpoint } from './data/checkpoint.ts';
export type { FeatureSettings } from './data/feature-settings.ts';
export { type PatchFeatures, parseFeatures } from './data/features.ts';
export { useH5Bytes } from './data/h5-tables.ts';
export { type H5adOptions, readH5ad } from './data/h5ad.ts';
export type { PackedBags } from './data/packed-bags.ts';
export {
  parseSafetensors,
  type Safetensor,
  type Safetensors,
  serializeSafetensors,
} from './data/safetensors.ts';
export { shuffle } from './data/shuffle.ts';
export {
  neighbourViews,
  type SpotCrop,
  type SpotCropOptions,
  spotCrops,
} from './data/spot-crops.ts';
export { parseSpotIds, type SpotFeatures, serializeSpotFeatures } from './data/spot-features.ts';
export { gridNeighbours, neighbourFeatures, neighbourMeans } from './data/spot-neighbours.ts';
export {
  keepSpots,
  type Spot,
  type SpotSection,
  selectSpotGenes,
  spotExpression,
  topGenes,
} from './data/spots.ts';
export { HistogradError } from './errors.ts';
export { dexinedScore, openDexiNed } from './extraction/dexined-score.ts';
export { type EmbeddedBatch, type EmbedOptions, embedTiles } from './extraction/embed-tiles.ts';
export {
  type ExtractFeaturesOptions,
  extractFeatures,
  type SlideFeatures,
} from './extraction/extract-features.ts';
export type { AdapterClass, AdapterRequest, ChosenAdapter } from './gpu/adapter.ts';
export { Device, type DeviceOptions } from './gpu/device.ts';
export { type Diagnosis, diagnose, formatDiagnosis } from './gpu/doctor.ts';
export type { Tuning } from './gpu/tuning.ts';
export { TUNINGS, type TuningName } from './gpu/tunings.ts';
export { type Evaluation, evaluatePredictions } from './metrics/evaluate.ts';
export { pearson } from './metrics/pearson.ts';
export { type SectionScores, withinSections } from './metrics/within-section.ts';
export { CONTRASTIVE, Contrastive, type ContrastiveOptions } from './models/contrastive.ts';
export { DexiNed } from './models/dexined.ts';
export { DIRECT_ABMIL, DirectAbmil, type DirectAbmilOptions } from './models/direct-abmil.ts';
export {
  DIRECT_PATCH_LEVEL,
  DirectPatchLevel,
  type DirectPatchLevelOptions,
} from './models/direct-patch-level.ts';
export { DualRidge } from './models/dual-ridge.ts';
export { CTRANSPATH, CTransPath, type CTransPathOptions } from './models/extractors/ctranspath.ts';
export { DENSENET121, DenseNet, type DenseNetOptions } from './models/extractors/densenet.ts';
export { Extractor, freezeStages, type Preprocessing } from './models/extractors/extractor.ts';
export {
  type LoadOptions,
  type LoadReport,
  loadWeights,
} from './models/extractors/load-weights.ts';
export { MOBILENET, MobileNet, type MobileNetOptions } from './models/extractors/mobilenet.ts';
export { preprocess } from './models/extractors/preprocess.ts';
export {
  createExtractor,
  EXTRACTOR_NAMES,
  EXTRACTORS,
  type ExtractorDefinition,
  type ExtractorName,
  inferExtractor,
} from './models/extractors/registry.ts';
export {
  RESNET18,
  RESNET34,
  RESNET50,
  ResNet,
  type ResNetOptions,
} from './models/extractors/resnet.ts';
export { SHUFFLENET, ShuffleNet, type ShuffleNetOptions } from './models/extractors/shufflenet.ts';
export { SQUEEZENET, SqueezeNet, type SqueezeNetOptions } from './models/extractors/squeezenet.ts';
export { UNI, VIT_S16, ViT, type ViTOptions } from './models/extractors/vit.ts';
export { KNN, Knn, type KnnOptions } from './models/knn.ts';
export { lpipsHeads } from './models/lpips-heads.ts';
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
export {
  type FeaturePieces,
  type StreamedOptions,
  streamedBackward,
  streamedPrediction,
} from './models/streamed-abmil.ts';
export {
  GELU,
  Hardsigmoid,
  Hardswish,
  LeakyReLU,
  ReLU,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Tanh,
} from './nn/activation.ts';
export {
  Attention,
  absoluteOffsetIndex,
  MultiheadAttention,
  type MultiheadAttentionOptions,
  relativePositionIndex,
  WindowAttention,
} from './nn/attention.ts';
export { AttentionPool, type AttentionPoolOptions } from './nn/attention-pool.ts';
export { BatchNorm1d, BatchNorm2d } from './nn/batch-norm.ts';
export {
  Conv2d,
  type Conv2dLayerOptions,
  ConvTranspose2d,
  type ConvTranspose2dLayerOptions,
} from './nn/conv.ts';
export { DropPath } from './nn/drop-path.ts';
export { Embedding } from './nn/embedding.ts';
export { freeze, trainableParameters, unfreeze } from './nn/freeze.ts';
export { type NeighbourGraphOptions, neighbourGraph, SageConv } from './nn/graph-sage.ts';
export { Dropout, type Init, LayerNorm, Linear } from './nn/layers.ts';
export { LSTM, LSTMCell, type LSTMOptions, type LstmState } from './nn/lstm.ts';
export { Module, type StateTensor } from './nn/module.ts';
export { PixelNorm } from './nn/norm.ts';
export { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d } from './nn/pool.ts';
export { Flatten, Identity, Upsample } from './nn/resample.ts';
export { type Layer, Sequential } from './nn/sequential.ts';
export { attention, packedAttention } from './ops/attention.ts';
export { BiasIndex } from './ops/attention-bias.ts';
export type {
  AttentionLayout,
  AttentionOptions,
  PackedAttentionOptions,
} from './ops/attention-call.ts';
export { type BatchNormOptions, batchNorm } from './ops/batch-norm.ts';
export { add, div, mul, sub } from './ops/binary.ts';
export { cast } from './ops/cast.ts';
export { channelUnitNorm, pixelNorm } from './ops/channel-norm.ts';
export { softClipLoss } from './ops/clip-loss.ts';
export { type ConvTransposeOptions, convTranspose2d } from './ops/conv-transpose2d.ts';
export { type ConvOptions, conv2d } from './ops/conv2d.ts';
export { crossEntropy } from './ops/cross-entropy.ts';
export { dropPath } from './ops/drop-path.ts';
export { dropout } from './ops/dropout.ts';
export { embedding } from './ops/embedding.ts';
export { expand } from './ops/expand.ts';
export { featureDistance } from './ops/feature-distance.ts';
export { ganDiscriminatorLoss, ganGeneratorLoss } from './ops/gan-loss.ts';
export { gatherRows } from './ops/gather-rows.ts';
export { infoNce } from './ops/info-nce.ts';
export { l2Normalize } from './ops/l2-normalize.ts';
export { layerNorm } from './ops/layer-norm.ts';
export { concat, permute, reshape, slice } from './ops/layout.ts';
export { linearTopKMean } from './ops/linear-top-k-mean.ts';
export { lstmCell } from './ops/lstm-cell.ts';
export { linear, matmul } from './ops/matmul.ts';
export { type ModulatedConv2dOptions, modulatedConv2d } from './ops/modulated-conv2d.ts';
export { mse } from './ops/mse.ts';
export { type PadMode, type PadOptions, pad } from './ops/pad.ts';
export { pearsonColumns, pearsonLoss } from './ops/pearson-loss.ts';
export { pixelShift } from './ops/pixel-shift.ts';
export { bceWithLogits, l1, smoothL1 } from './ops/pointwise-loss.ts';
export {
  type AvgPool2dOptions,
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  avgPool2d,
  globalAvgPool2d,
  type MaxPool2dOptions,
  maxPool2d,
} from './ops/pool2d.ts';
export { max, mean, sum } from './ops/reduce.ts';
export type { Reduction, ReductionOptions } from './ops/reduction.ts';
export { type ResizeMode, type ResizeOptions, resize } from './ops/resize.ts';
export { roll } from './ops/roll.ts';
export { scatterRows } from './ops/scatter-rows.ts';
export {
  segmentLogSoftmax,
  segmentMean,
  segmentSoftmax,
  segmentSum,
  segmentWeightedSum,
} from './ops/segment.ts';
export { chunk, flatten, split, squeeze, stack, unsqueeze } from './ops/shapes.ts';
export { softCrossEntropy } from './ops/soft-cross-entropy.ts';
export { logSoftmax, softmax } from './ops/softmax.ts';
export { spmm } from './ops/spmm.ts';
export {
  activeRows,
  paddingMask,
  type TopK,
  type TopKMeanOptions,
  topK,
  topKMask,
  topKMean,
} from './ops/top-k.ts';
export {
  abs,
  affine,
  clamp,
  erf,
  exp,
  expm1,
  gelu,
  hardsigmoid,
  hardswish,
  leakyRelu,
  lgamma,
  log,
  log1p,
  neg,
  pow,
  reciprocal,
  relu,
  rsqrt,
  sigmoid,
  silu,
  softplus,
  sqrt,
  square,
  tanh,
} from './ops/unary.ts';
export { type Upfirdn2dOptions, upfirdn2d } from './ops/upfirdn2d.ts';
export { where } from './ops/where.ts';
export { windowPartition, windowReverse } from './ops/window-partition.ts';
export { type ZinbLossOptions, zinbLoss } from './ops/zinb.ts';
export { Adam, type AdamOptions } from './optim/adam.ts';
export { AdamW, type AdamWOptions } from './optim/adamw.ts';
export { clipGradValue } from './optim/clip-value.ts';
export { Ema } from './optim/ema.ts';
export { clipGradNorm } from './optim/grad-norm.ts';
export {
  GradScaler,
  type GradScalerOptions,
  type GradScalerState,
  requireUsableScale,
} from './optim/grad-scaler.ts';
export { decayGroups, type ParameterGroup } from './optim/optimizer.ts';
export { type PlateauOptions, type PlateauState, ReduceOnPlateau } from './optim/plateau.ts';
export { type Schedule, scheduleFactor } from './optim/schedule.ts';
export { Sgd, type SgdOptions } from './optim/sgd.ts';
export { type OpenSlideOptions, openSlide } from './slides/open-slide.ts';
export { renderPreview } from './slides/preview.ts';
export {
  type SelectOptions,
  type SelectorKind,
  selectedTiles,
  selectTiles,
  type TileSelection,
} from './slides/select-tiles.ts';
export type { KeepRule } from './slides/selectors/keep.ts';
export type { RgbImage, Slide, SlideFormat, SlideLevel } from './slides/slide.ts';
export {
  applyStains,
  estimateStains,
  MACENKO_REFERENCE,
  type NoStains,
  normaliseStains,
  type Stains,
} from './slides/stain-normalise.ts';
export {
  TILE_STATISTICS,
  TILE_STATISTICS_VERSION,
  tileStatistics,
} from './slides/tile-statistics.ts';
export {
  type PlannedTile,
  planTiles,
  readTile,
  type TilePlan,
  type TilingOptions,
} from './slides/tiling.ts';
export {
  type Overview,
  readOverview,
  type TissueMask,
  type TissueRule,
  tissueFraction,
  tissueMask,
} from './slides/tissue-mask.ts';
export { CapturedStep, type CaptureOptions } from './tensor/captured-step.ts';
export type { FloatType } from './tensor/convert.ts';
export { Csr, type CsrData, type Edges } from './tensor/csr.ts';
export { type Draw, Generator, normal, uniform } from './tensor/random.ts';
export { keep, scope } from './tensor/scope.ts';
export { Segments } from './tensor/segments.ts';
export { type DType, type Shape, Tensor, type TensorData } from './tensor/tensor.ts';
export type { BagSource } from './training/bag-source.ts';
export { type CrossValidation, crossValidate } from './training/cross-validate.ts';
export { TRAIN_DEFAULTS, type TrainOptions, type TrainTask } from './training/task.ts';
export { type TrainResult, train } from './training/train.ts';
export { parseModel, requireFeatures, serializeModel } from './training/trained-model.ts';
export { type KMeans, type KMeansOptions, kMeans } from './unsupervised/k-means.ts';
export { type Nmf, type NmfOptions, nmf } from './unsupervised/nmf.ts';
export { type DistanceMetric, pairwiseDistances } from './unsupervised/pairwise-distances.ts';
export { type Pca, type PcaOptions, pca } from './unsupervised/pca.ts';
