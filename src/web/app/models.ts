/** The models in words, for people who choose one. Titles are the registry's (tested: the page does not load it). */
import type { ModelKind } from '../../models/registry.ts';

export interface ModelCard {
  readonly kind: ModelKind;
  readonly title: string;
  readonly what: string;
  /** The same where every sample is a spot: one patch. */
  readonly whatForSpots: string;
  /** By optimiser steps, with curves; the others are computed at once. */
  readonly trains: boolean;
  /** The axis of the loss. */
  readonly loss: string;
}

const MSE = 'Loss (mean squared error)';

export const MODELS: readonly [ModelCard, ...ModelCard[]] = [
  {
    kind: 'direct-abmil',
    title: 'Direct-ABMIL',
    what: 'Learns which parts of a slide matter (attention) and predicts the genes from them. Gives maps of genes and of attention.',
    whatForSpots:
      'Attention over patches. A spot is one patch: Direct-Patch-Level does the same more simply.',
    trains: true,
    loss: MSE,
  },
  {
    kind: 'direct-patch-level',
    title: 'Direct-Patch-Level',
    what: 'Predicts every place on its own and averages over the slide. Gives maps of genes; simple and quick.',
    whatForSpots:
      'Predicts the genes of every spot from its patch of the image. A good first choice.',
    trains: true,
    loss: MSE,
  },
  {
    kind: 'contrastive',
    title: 'Contrastive',
    what: 'Learns to match images with expression profiles, then averages the profiles that match best. No maps within a slide.',
    whatForSpots:
      'Learns to match patches with expression profiles, then averages the profiles that match best.',
    trains: true,
    loss: 'Loss (InfoNCE)',
  },
  {
    kind: 'knn',
    title: 'kNN',
    what: 'No training: the mean of the training samples that look most alike. No maps within a slide.',
    whatForSpots: 'No training: the mean of the training spots that look most alike.',
    trains: false,
    loss: MSE,
  },
  {
    kind: 'ridge',
    title: 'Ridge (floor)',
    what: 'Linear regression, computed at once: what any trained model should beat. Gives maps of genes.',
    whatForSpots: 'Linear regression, computed at once: what any trained model should beat.',
    trains: false,
    loss: MSE,
  },
];

export function modelCard(kind: ModelKind): ModelCard {
  return MODELS.find((model) => model.kind === kind) ?? MODELS[0];
}
