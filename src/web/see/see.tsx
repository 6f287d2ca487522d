/** The See screen: a gene over a slide, how well it is predicted, and everything as files. */
import './see.css';
import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { formatCount } from '../../report/format.ts';
import { asEngineError } from '../app/errors.ts';
import { sampleNoun } from '../app/words.ts';
import type { DatasetSummary, Engine, EngineError, RunState, SlideSummary } from '../protocol.ts';
import type { ReadTile } from './deep-zoom.ts';
import { mapPicture } from './export-picture.ts';
import { GeneTable } from './gene-table.tsx';
import { Headline } from './headline.tsx';
import { layersOf, type Mode, modeProblem, relativeAttention } from './layers.ts';
import { FIRST_LOOK, MapControls, type MapLook } from './map-controls.tsx';
import { type Framed, MapPanel } from './map-panel.tsx';
import { Readout } from './readout.tsx';
import { fileName } from './save.ts';
import { SaveCard, type SaveItem } from './save-card.tsx';
import { Failed, LinkedScatter, ScoreLine, SlideValues } from './see-parts.tsx';
import { defaultSlide, SlideChoice } from './slide-choice.tsx';
import { useResults } from './use-results.ts';

export interface SeeProps {
  readonly engine: Engine;
  readonly dataset: DatasetSummary;
  /** Finished, or a model from elsewhere. */
  readonly run: RunState;
  /** Every failed call of the engine. */
  readonly onError: (error: EngineError) => void;
}

export function See(props: SeeProps) {
  const slide = defaultSlide(props.dataset.slides);
  if (!slide) {
    return (
      <section class="card">
        <h2>Nothing to show</h2>
        <p>These data hold no slide and no section.</p>
      </section>
    );
  }
  return <Results key={`${props.run.id} ${props.dataset.title}`} {...props} first={slide} />;
}

function Results({ engine, dataset, run, onError, first }: SeeProps & { first: SlideSummary }) {
  const [chosenGene, setGene] = useState<string | null>(null);
  const [slideId, setSlideId] = useState(first.id);
  const [look, setLook] = useState<MapLook>(() =>
    // Without tissue to see through it, the map has the colours of its legend.
    first.picture ? FIRST_LOOK : { ...FIRST_LOOK, opacity: 1 },
  );
  const hovered = useSignal(-1);
  const selected = useSignal(-1);
  const framed = useRef<(() => Framed | null) | null>(null);
  /** A place to choose on a slide that is still to be opened. */
  const comingPlace = useRef(-1);

  const slide = dataset.slides.find((other) => other.id === slideId) ?? first;
  const slideIndex = dataset.slides.indexOf(slide);
  const noun = dataset.kind === 'spots' ? 'spot' : 'tile';
  const sample = sampleNoun(dataset.kind);

  const [attentionWanted, wantAttention] = useState(false);
  const results = useResults({
    engine,
    dataset,
    run,
    slide,
    gene: chosenGene,
    attention: attentionWanted,
    onError,
  });
  const { genes, gene, known, scores, places, map, attention, scatter } = results;
  const { placesAnswer, mapAnswer, attentionAnswer, scatterAnswer } = results;

  const layers = useMemo(
    () => (map ? layersOf(look.mode, map, attention, dataset.unit, look) : []),
    [map, attention, dataset.unit, look.mode, look.colours, look.range, look.common, look.blend],
  );
  const relative = useMemo(() => (attention ? relativeAttention(attention) : null), [attention]);

  useEffect(() => {
    hovered.value = -1;
    selected.value = comingPlace.current;
    comingPlace.current = -1;
  }, [slide.id]);

  const shown = useRef(true);
  // Not `useEffect`, which ends some time after the screen was left.
  useLayoutEffect(
    () => () => {
      shown.current = false;
    },
    [],
  );
  const tileFailed = useRef('');
  const readTile = useMemo<ReadTile>(
    () => async (level, column, row) => {
      try {
        return await engine.pictureTile(slide.id, level, column, row);
      } catch (thrown) {
        // One message per slide, not one per tile; none of a slide that was closed since.
        if (tileFailed.current !== slide.id && shown.current) {
          tileFailed.current = slide.id;
          onError(asEngineError(thrown));
        }
        throw thrown;
      }
    },
    [engine, slide.id],
  );

  const onLook = (change: Partial<MapLook>) => {
    setLook((before) => ({ ...before, ...change }));
    if (change.mode === 'attention') wantAttention(true);
  };
  const problemOf = (mode: Mode) => (map ? modeProblem(mode, map, attention) : null);
  const problem = problemOf(look.mode);
  const failure = placesAnswer.error ?? (map ? null : mapAnswer.error);
  const busy =
    placesAnswer.loading ||
    mapAnswer.loading ||
    (look.mode === 'attention' && attentionAnswer.loading);

  const picture = async (): Promise<Blob> => {
    const frame = framed.current?.();
    if (!frame || !places) throw new Error('The map is not open yet.');
    return mapPicture({
      slide,
      places,
      layers,
      fill: look.fill,
      opacity: look.opacity,
      ...frame,
      readTile: (level, column, row) => engine.pictureTile(slide.id, level, column, row),
      title: layers.length > 1 ? `${map?.gene}, predicted and measured` : (layers[0]?.title ?? ''),
      subtitle: [slide.id, partWords(slide), dataset.title, run.title].filter(Boolean).join(' · '),
      simulated: dataset.simulated,
    });
  };
  const items: SaveItem[] = [
    {
      name: 'Map (PNG)',
      hint: 'The map as it is seen, with legend and scale bar',
      file: fileName(
        [
          dataset.title,
          slide.id,
          // Of what is drawn: another gene may be on its way.
          map?.gene ?? '',
          layers.length > 1 ? 'side-by-side' : (layers[0]?.kind ?? ''),
        ],
        'png',
      ),
      make: layers.length > 0 && places ? picture : null,
    },
    {
      name: 'Map (CSV)',
      hint: `Every ${noun} of this slide, for this gene`,
      file: fileName([dataset.title, slide.id, gene ?? '', 'map'], 'csv'),
      make: gene && map?.predicted ? () => engine.exportMap(slide.id, gene) : null,
    },
    {
      name: 'Predictions (CSV)',
      hint: 'All samples and genes',
      file: fileName([dataset.title, run.title, 'predictions'], 'csv'),
      make: () => engine.exportPredictions(),
    },
    {
      name: 'Model (safetensors)',
      hint: 'Opens here and with the command line',
      file: fileName([dataset.title, run.title], 'safetensors'),
      make: () => engine.exportModel(),
    },
    {
      name: 'Report (HTML)',
      hint:
        scores.value?.samples === 0
          ? 'Needs samples with measured expression'
          : 'Scores, curves and settings in one file',
      file: fileName([dataset.title, run.title, 'report'], 'html'),
      make: scores.value?.samples === 0 ? null : () => engine.exportReport(),
    },
  ];
  const score = genes.find((row) => row.gene === gene);

  return (
    <div class="see">
      <section class="card see-side" aria-label="Genes">
        <h2>Genes {dataset.simulated && <span class="badge warn">simulated</span>}</h2>
        {scores.value && <Headline scores={scores.value} dataset={dataset} run={run} />}
        {!known && <p class="soft">Scoring…</p>}
        {scores.error && <Failed what="The scores" error={scores.error} retry={scores.retry} />}
        <GeneTable
          key={String(scores.value !== null && scores.value.samples > 0)}
          genes={genes}
          scored={(scores.value?.samples ?? 0) > 0}
          gene={gene ?? ''}
          onGene={setGene}
        />
      </section>

      <section class="see-centre" aria-label="Map">
        <div class="see-head">
          <h2>
            {gene ?? '…'}
            {dataset.simulated && <span class="badge warn">simulated data</span>}
            {busy && (
              <span class="soft small" role="status">
                Computing…
              </span>
            )}
          </h2>
          <SlideChoice dataset={dataset} slide={slide} onSlide={setSlideId} />
        </div>
        <MapControls look={look} onLook={onLook} problemOf={problemOf} noun={noun} />
        {problem && (
          <p class="note">
            {problem}
            {layers.length > 0 && ' The prediction alone is shown.'}
          </p>
        )}
        {map && map.gene === gene && <SlideValues map={map} unit={dataset.unit} />}
        {failure && (
          <Failed
            what="The map"
            error={failure}
            retry={() => {
              if (placesAnswer.error) placesAnswer.retry();
              if (mapAnswer.error) mapAnswer.retry();
            }}
          />
        )}
        {places && places.x.length === 0 && (
          <p class="note">No {noun} of this slide lies on tissue: there is nothing to colour.</p>
        )}
        {places && (
          <>
            <MapPanel
              slide={slide}
              places={places}
              layers={layers}
              fill={look.fill}
              opacity={look.opacity}
              readTile={readTile}
              noun={noun}
              hovered={hovered}
              selected={selected}
              framed={framed}
              onError={onError}
            />
            <Readout
              places={places}
              map={map}
              attention={relative}
              unit={dataset.unit}
              noun={noun}
              hovered={hovered}
              selected={selected}
            />
          </>
        )}
        {!places && !failure && <div class="see-waiting">Opening {slide.id}…</div>}
      </section>

      <div class="see-more">
        {scores.value && scores.value.samples > 0 && (
          <section class="card" aria-label="Predicted against measured">
            <h2>
              {gene},{' '}
              {formatCount(
                scores.value.samples,
                `${scores.value.part === 'test' ? 'test ' : ''}${sample}`,
              )}
            </h2>
            {score && <ScoreLine score={score} />}
            {scatter && (
              <LinkedScatter
                scatter={scatter}
                score={score}
                unit={dataset.unit}
                noun={sample}
                slide={slideIndex}
                place={selected}
                onSelect={(index) => {
                  const target = dataset.slides[scatter.slides[index]!];
                  const place = scatter.places?.[index] ?? -1;
                  if (!target) return;
                  if (target.id === slide.id) selected.value = place;
                  else comingPlace.current = place;
                  setSlideId(target.id);
                }}
              />
            )}
            {scatterAnswer.error && (
              <Failed what="The plot" error={scatterAnswer.error} retry={scatterAnswer.retry} />
            )}
          </section>
        )}
        <SaveCard items={items} onError={onError} />
      </div>
    </div>
  );
}

function partWords({ part }: SlideSummary): string {
  if (part === 'unassigned') return '';
  return part === 'train' ? 'learned from in training' : `${part} part`;
}
