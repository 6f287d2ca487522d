/** What the screen shows now, asked of the engine. */
import { useMemo } from 'preact/hooks';
import type {
  DatasetSummary,
  Engine,
  EngineError,
  GeneScore,
  RunState,
  Scores,
  SlideSummary,
} from '../protocol.ts';
import { sortGenes } from './gene-rows.ts';
import { useLatest } from './use-latest.ts';

export interface Wanted {
  readonly engine: Engine;
  readonly dataset: DatasetSummary;
  readonly run: RunState;
  readonly slide: SlideSummary;
  /** Null: the best one, once that is known. */
  readonly gene: string | null;
  readonly attention: boolean;
  readonly onError: (error: EngineError) => void;
}

export function useResults(wanted: Wanted) {
  const { engine, dataset, run, slide, onError } = wanted;
  const scores = useLatest(run.id, () => engine.scores(), onError);
  const genes = useGenes(scores.value, dataset, run);
  const known = scores.value !== null || scores.error !== null;
  const gene = wanted.gene ?? (known ? (bestGene(genes) ?? null) : null);

  const placesAnswer = useLatest(slide.id, () => engine.places(slide.id), onError);
  const places = placesAnswer.value?.slide === slide.id ? placesAnswer.value : null;
  const mapAnswer = useLatest(
    gene && `${slide.id} ${gene}`,
    () => engine.map(slide.id, gene ?? ''),
    onError,
  );
  const map = mapAnswer.value?.slide === slide.id ? mapAnswer.value : null;
  const attentionAnswer = useLatest(
    wanted.attention ? slide.id : null,
    () => engine.attention(slide.id),
    onError,
  );
  const attention =
    attentionAnswer.key === slide.id && !attentionAnswer.error ? attentionAnswer.value : undefined;
  const scatterAnswer = useLatest(
    gene && scores.value && scores.value.samples > 0 ? gene : null,
    () => engine.scatter(gene ?? ''),
    onError,
  );
  const scatter = scatterAnswer.value?.gene === gene ? scatterAnswer.value : null;

  return {
    genes,
    gene,
    /** The scores have come, or failed. */
    known,
    scores,
    places,
    placesAnswer,
    map,
    mapAnswer,
    /** Null: the model has none; undefined: not asked for, or not there yet. */
    attention,
    attentionAnswer,
    scatter,
    scatterAnswer,
  };
}

/** The scores' genes, or those of the data while there are no scores. */
function useGenes(
  scores: Scores | null,
  dataset: DatasetSummary,
  run: RunState,
): readonly GeneScore[] {
  return useMemo(() => {
    if (scores && scores.genes.length > 0) return scores.genes;
    const none = Number.NaN;
    return (run.settings.genes ?? dataset.genes).map((gene) => ({
      gene,
      pearson: none,
      q: none,
      mse: none,
    }));
  }, [scores, dataset.genes, run.settings.genes]);
}

function bestGene(genes: readonly GeneScore[]): string | undefined {
  return sortGenes(genes, { column: 'pearson', descending: true })[0]?.gene;
}
