/** Model options in words. */
interface OptionWords {
  readonly label: string;
  readonly hint?: string;
  readonly whole?: boolean;
  readonly choices?: readonly string[];
}

const WORDS: Readonly<Record<string, OptionWords>> = {
  hidden: {
    label: 'Width',
    hint: 'Of the hidden layer: wider learns more and needs more memory.',
    whole: true,
  },
  attention: { label: 'Width of the attention', whole: true },
  gated: { label: 'Gated attention', hint: 'With a second branch that switches parts off.' },
  dropout: {
    label: 'Dropout',
    hint: 'Share of the hidden values dropped per step, against over-fitting.',
  },
  geneHidden: { label: 'Width of the gene branch', whole: true },
  geneDropout: { label: 'Dropout of the gene branch' },
  temperature: { label: 'Temperature', hint: 'Lower tells near matches apart more sharply.' },
  k: {
    label: 'Neighbours (k)',
    hint: 'Training samples that a prediction averages over.',
    whole: true,
  },
  weighting: {
    label: 'Weights of the neighbours',
    hint: 'softmax: nearer ones count more.',
    choices: ['softmax', 'uniform'],
  },
  retrievalTemperature: { label: 'Temperature of the weights' },
  metric: { label: 'Distance', choices: ['euclidean', 'cosine'] },
  from: { label: 'Smallest penalty', hint: 'A power of ten.' },
  to: { label: 'Largest penalty', hint: 'A power of ten.' },
};

/** An option without words of its own is called by its name. */
export function optionWords(name: string): OptionWords {
  return WORDS[name] ?? { label: name };
}
