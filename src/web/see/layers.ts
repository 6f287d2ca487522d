/** What the map shows: from the chosen view to values, colours and words. */
import type { GeneMap } from '../protocol.ts';
import type { SequentialMap } from './colour-maps.ts';
import { type ColourScale, type RangeKind, rangeAroundZero, rangeOf } from './colour-scale.ts';

export const MODES = ['predicted', 'measured', 'side', 'blend', 'difference', 'attention'] as const;
export type Mode = (typeof MODES)[number];

export const MODE_NAMES: Record<Mode, string> = {
  predicted: 'Predicted',
  measured: 'Measured',
  side: 'Side by side',
  blend: 'Blend',
  difference: 'Difference',
  attention: 'Attention',
};

/** One set of values over the places of a slide, with its colours. */
export interface Layer {
  readonly kind: Exclude<Mode, 'side'>;
  readonly title: string;
  readonly unit: string;
  /** [places] */
  readonly values: Float32Array;
  readonly scale: ColourScale;
}

export interface LayerSettings {
  readonly colours: SequentialMap;
  readonly range: RangeKind;
  /** The same range for predicted and measured: the same colour is the same value. */
  readonly common: boolean;
  /** Share of the measured values in the blend, 0 to 1. */
  readonly blend: number;
}

/** Why a view cannot be shown, in words for the user; null when it can. `attention`: undefined until asked for. */
export function modeProblem(
  mode: Mode,
  map: Pick<GeneMap, 'predicted' | 'observed'>,
  attention: Float32Array | null | undefined,
): string | null {
  if (mode === 'attention') {
    return attention === null ? 'This model does not weigh its places: it has no attention.' : null;
  }
  if (mode !== 'measured' && !map.predicted) {
    return 'This model predicts whole slides only, so it cannot say where in the slide a gene is expressed.';
  }
  if (mode !== 'predicted' && !map.observed) {
    return 'What was measured here is known for the whole slide at most, not for each place.';
  }
  return null;
}

/**
 * One layer, or two for `side`. Where a comparison lacks the measured half it is the predicted one (`modeProblem` says
 * why); none where there is nothing to show, or attention is not there yet.
 */
export function layersOf(
  mode: Mode,
  map: GeneMap,
  attention: Float32Array | null | undefined,
  unit: string,
  settings: LayerSettings,
): readonly Layer[] {
  if (mode === 'attention') return attention ? [attentionLayer(attention, settings)] : [];
  const { predicted, observed } = map;
  const both = [predicted, observed].filter((values) => values !== null);
  const layer = (kind: 'predicted' | 'measured' | 'blend', values: Float32Array): Layer => {
    const shared = settings.common || kind === 'blend';
    return {
      kind,
      title:
        kind === 'blend' ? blendTitle(map.gene, settings.blend) : `${MODE_NAMES[kind]} ${map.gene}`,
      unit,
      values,
      scale: {
        map: settings.colours,
        ...rangeOf(shared ? both : [values], settings.range),
      },
    };
  };
  if (mode === 'measured') return observed ? [layer('measured', observed)] : [];
  if (!predicted) return [];
  if (mode === 'predicted' || !observed) return [layer('predicted', predicted)];
  if (mode === 'side') return [layer('predicted', predicted), layer('measured', observed)];
  if (mode === 'blend') {
    const share = settings.blend;
    return [
      layer(
        'blend',
        predicted.map((value, i) => value * (1 - share) + observed[i]! * share),
      ),
    ];
  }
  const values = predicted.map((value, i) => value - observed[i]!);
  return [
    {
      kind: 'difference',
      title: `Predicted − measured ${map.gene}`,
      unit,
      values,
      scale: { map: 'blue-red', ...rangeAroundZero(values, settings.range) },
    },
  ];
}

/** Weights that sum to 1 are tiny on a large slide: 1 is made the average place. */
export function relativeAttention(weights: Float32Array): Float32Array {
  return weights.map((weight) => weight * weights.length);
}

function attentionLayer(weights: Float32Array, settings: LayerSettings): Layer {
  const values = relativeAttention(weights);
  return {
    kind: 'attention',
    title: 'Attention',
    unit: '× average',
    values,
    scale: { map: settings.colours, ...rangeOf([values], settings.range) },
  };
}

function blendTitle(gene: string, measured: number): string {
  const share = Math.round(100 * measured);
  return `${gene}: ${100 - share} % predicted, ${share} % measured`;
}
