/** The extractors by name, and which of them a state dict is of. */
import { HistogradError } from '../../errors.ts';
import type { Init } from '../../nn/layers.ts';
import { CTRANSPATH, CTransPath, cTransPathState, inferCTransPath } from './ctranspath.ts';
import { DENSENET121, DenseNet, denseNetName, inferDenseNet } from './densenet.ts';
import { type Extractor, HALVES, IMAGENET, type Preprocessing } from './extractor.ts';
import {
  inferMobileNet,
  MOBILENET,
  MobileNet,
  type MobileNetOptions,
  mobileNetName,
} from './mobilenet.ts';
import {
  inferResNet,
  RESNET18,
  RESNET34,
  RESNET50,
  ResNet,
  type ResNetOptions,
  resNetName,
} from './resnet.ts';
import {
  inferShuffleNet,
  SHUFFLENET,
  ShuffleNet,
  shuffleNetName,
  TCGA_TILES,
} from './shufflenet.ts';
import {
  CAFFE,
  caffeSqueezeNetName,
  inferSqueezeNet,
  SQUEEZENET,
  SqueezeNet,
  type SqueezeNetOptions,
} from './squeezenet.ts';
import { renamed, type Shapes } from './state.ts';
import { inferViT, UNI, VIT_S16, ViT, type ViTOptions, viTName } from './vit.ts';

export interface ExtractorDefinition {
  readonly title: string;
  readonly preprocessing: Preprocessing;
  /** A published state dict under the network's names, without classifiers and what follows from the sizes. */
  rename<Value>(state: ReadonlyMap<string, Value>): Map<string, Value>;
  /** Is a renamed state dict of this network? */
  matches(state: Shapes): boolean;
  /** A network with random weights, as published or, given a renamed state dict that `matches`, of its sizes. */
  create(init: Init, state?: Shapes): Extractor;
}

/** Counts of batches, which PyTorch keeps and nothing here needs, go from every state dict. */
function byName(rename: (name: string) => string | null) {
  return <Value>(state: ReadonlyMap<string, Value>) =>
    renamed(state, (name) => (name.endsWith('.num_batches_tracked') ? null : rename(name)));
}

function resNet(title: string, published: ResNetOptions): ExtractorDefinition {
  const { block, depths } = published;
  const infer = (state: Shapes) => {
    const found = inferResNet(state);
    return found?.block === block && found.depths.join() === depths.join() ? found : null;
  };
  return {
    title,
    preprocessing: IMAGENET,
    create: (init, state) => new ResNet(init, (state && infer(state)) ?? published),
    matches: (state) => infer(state) !== null,
    rename: byName(resNetName),
  };
}

/** Any size of ViT is taken for UNI's kind where it has LayerScale, else for kaiko's; they differ in preprocessing. */
function viT(title: string, published: ViTOptions): ExtractorDefinition {
  const scaled = published.layerScale !== null;
  const infer = (state: Shapes) => {
    const found = inferViT(state);
    return found && (found.layerScale !== null) === scaled ? found : null;
  };
  return {
    title,
    preprocessing: scaled ? IMAGENET : HALVES,
    create: (init, state) => new ViT(init, (state && infer(state)) ?? published),
    matches: (state) => infer(state) !== null,
    rename: byName(viTName),
  };
}

/** The authors' weights and torchvision's are told apart by their names: they differ in preprocessing alone. */
function squeezeNet(title: string, weights: SqueezeNetOptions['weights']): ExtractorDefinition {
  const published = { ...SQUEEZENET, weights };
  return {
    title,
    preprocessing: weights === 'caffe' ? CAFFE : IMAGENET,
    create: (init, state) =>
      new SqueezeNet(init, { ...published, ...(state && inferSqueezeNet(state)) }),
    matches: (state) => inferSqueezeNet(state) !== null,
    rename: byName(weights === 'caffe' ? caffeSqueezeNetName : (name) => name),
  };
}

function mobileNet(title: string, weights: MobileNetOptions['weights']): ExtractorDefinition {
  const infer = (state: Shapes) => {
    const found = inferMobileNet(state);
    return found?.weights === weights ? found : null;
  };
  return {
    title,
    preprocessing: weights === 'google' ? HALVES : IMAGENET,
    create: (init, state) =>
      new MobileNet(init, (state && infer(state)) ?? { ...MOBILENET, weights }),
    matches: (state) => infer(state) !== null,
    rename: byName(mobileNetName),
  };
}

export const EXTRACTOR_NAMES = [
  'resnet18',
  'resnet34',
  'resnet50',
  'densenet121',
  'vit-s16',
  'uni',
  'ctranspath',
  'shufflenet',
  'squeezenet',
  'squeezenet-torchvision',
  'mobilenet',
  'mobilenet-torchvision',
] as const;
export type ExtractorName = (typeof EXTRACTOR_NAMES)[number];

export const EXTRACTORS: Record<ExtractorName, ExtractorDefinition> = {
  resnet18: resNet('ResNet18', RESNET18),
  resnet34: resNet('ResNet34', RESNET34),
  resnet50: resNet('ResNet50', RESNET50),
  densenet121: {
    title: 'DenseNet121',
    preprocessing: IMAGENET,
    create: (init, state) => new DenseNet(init, (state && inferDenseNet(state)) ?? DENSENET121),
    matches: (state) => inferDenseNet(state) !== null,
    rename: byName(denseNetName),
  },
  'vit-s16': viT('ViT-S/16', VIT_S16),
  uni: viT('UNI (ViT-L/16)', UNI),
  ctranspath: {
    title: 'CTransPath',
    preprocessing: IMAGENET,
    create: (init, state) => new CTransPath(init, (state && inferCTransPath(state)) ?? CTRANSPATH),
    matches: (state) => inferCTransPath(state) !== null,
    rename: (state) => byName((name) => name)(cTransPathState(state)),
  },
  shufflenet: {
    title: 'ShuffleNet v1 (TCGA histology)',
    preprocessing: TCGA_TILES,
    create: (init, state) => new ShuffleNet(init, (state && inferShuffleNet(state)) ?? SHUFFLENET),
    matches: (state) => inferShuffleNet(state) !== null,
    rename: byName(shuffleNetName),
  },
  squeezenet: squeezeNet('SqueezeNet 1.0', 'caffe'),
  'squeezenet-torchvision': squeezeNet('SqueezeNet 1.0 (torchvision)', 'torchvision'),
  mobilenet: mobileNet('MobileNetV2', 'google'),
  'mobilenet-torchvision': mobileNet('MobileNetV2 (torchvision)', 'torchvision'),
};

/**
 * Which extractor a published state dict is of.
 *
 * @throws HistogradError `checkpoint-mismatch` where it is of none
 */
export function inferExtractor(state: Shapes): ExtractorName {
  for (const [name, { matches, rename }] of definitions()) if (matches(rename(state))) return name;
  const names = [...state.keys()];
  throw new HistogradError(
    'checkpoint-mismatch',
    `A state dict of ${names.length} tensors (${names.slice(0, 5).join(', ')}, …) is of none of the extractors ${definitions()
      .map(([name]) => name)
      .join(', ')}.`,
    'Give the state dict of one of these networks, as torchvision or timm saves it.',
  );
}

/** A new extractor with random weights; `state`, a published state dict, decides on sizes where they may vary. */
export function createExtractor(name: ExtractorName, init: Init, state?: Shapes): Extractor {
  const { create, rename } = EXTRACTORS[name];
  return create(init, state && rename(state));
}

function definitions(): [ExtractorName, ExtractorDefinition][] {
  return EXTRACTOR_NAMES.map((name) => [name, EXTRACTORS[name]]);
}
