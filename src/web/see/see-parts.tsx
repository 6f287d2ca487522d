/** Small pieces of the See screen. */
import type { Signal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { formatFixed, formatProbability, formatSignificant } from '../../report/format.ts';
import type { EngineError, GeneMap, GeneScore } from '../protocol.ts';
import { Scatter, type ScatterProps } from './scatter.tsx';

export function SlideValues({ map, unit }: { map: GeneMap; unit: string }) {
  const { slidePredicted, slideObserved } = map;
  if (slidePredicted === null && slideObserved === null) return null;
  return (
    <p class="see-slide-values">
      The whole slide:
      {slidePredicted !== null && (
        <span>
          predicted <b>{formatSignificant(slidePredicted)}</b>
        </span>
      )}
      {slideObserved !== null && (
        <span>
          measured <b>{formatSignificant(slideObserved)}</b>
        </span>
      )}
      <span class="soft">{unit}</span>
    </p>
  );
}

export function ScoreLine({ score }: { score: GeneScore }) {
  if (Number.isNaN(score.pearson)) {
    return (
      <p class="soft small">
        No correlation is defined: what was measured, or what was predicted, does not vary over
        these samples.
      </p>
    );
  }
  return (
    <p class="soft small">
      Pearson’s r <b>{formatFixed(score.pearson, 3)}</b>, q {formatProbability(score.q)}, mean
      squared error {formatSignificant(score.mse)}
    </p>
  );
}

interface LinkedScatterProps extends Omit<ScatterProps, 'selected'> {
  /** The chosen place of the slide that is shown. */
  readonly place: Signal<number>;
}

export function LinkedScatter({ place, ...props }: LinkedScatterProps) {
  const { scatter, slide } = props;
  const selected = useMemo(() => {
    const { places, slides } = scatter;
    if (!places) return slides.indexOf(slide);
    if (place.value < 0) return -1;
    return places.findIndex((other, i) => other === place.value && slides[i] === slide);
  }, [scatter, slide, place.value]);
  return <Scatter {...props} selected={selected} />;
}

export function Failed({
  what,
  error,
  retry,
}: {
  what: string;
  error: EngineError;
  retry: () => void;
}) {
  return (
    <div class="note bad see-failed">
      <p>
        {what} could not be computed: {error.problem} {error.advice}
      </p>
      <button type="button" class="button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}
