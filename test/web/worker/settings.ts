import type { TrainSettings } from '../../../src/web/protocol.ts';

/** A small model with dropout, so that resuming has random numbers to get right. */
export function tinySettings(change: Partial<TrainSettings> = {}): TrainSettings {
  return {
    model: 'direct-abmil',
    modelOptions: { hidden: 16, attention: 8, dropout: 0.2 },
    genes: null,
    epochs: 24,
    batchSize: 3,
    maxPatches: 4,
    lr: 0.01,
    weightDecay: 1e-5,
    schedule: 'cosine',
    standardise: true,
    validationFraction: 0.2,
    testFraction: 0.3,
    patience: 0,
    seed: 0,
    ...change,
  };
}
