import { formatCount, formatInteger } from '../../report/format.ts';
import type { DatasetSummary } from '../protocol.ts';

const KINDS: Record<DatasetSummary['kind'], string> = {
  slides: 'one expression profile per slide',
  spots: 'one expression profile per spot',
  unlabelled: 'no expression: for prediction only',
};

interface DatasetCardProps {
  dataset: DatasetSummary;
  /** Beside a training: only what it is. */
  brief: boolean;
}

export function DatasetCard({ dataset, brief }: DatasetCardProps) {
  const { title, kind, slides, patients, genes, samples, features, unit, simulated, notes } =
    dataset;
  return (
    <section class="card dataset" aria-labelledby="dataset-title">
      <div class="row">
        <h2 id="dataset-title">{title}</h2>
        {simulated && <span class="badge warn">simulated data</span>}
      </div>
      <dl class="figures">
        <Figure name={patients === 1 ? 'patient' : 'patients'} value={formatInteger(patients)} />
        <Figure
          name={
            kind === 'spots'
              ? slides.length === 1
                ? 'section'
                : 'sections'
              : slides.length === 1
                ? 'slide'
                : 'slides'
          }
          value={formatInteger(slides.length)}
        />
        {kind === 'spots' && <Figure name="spots" value={formatInteger(samples)} />}
        {kind !== 'unlabelled' && <Figure name="genes" value={formatInteger(genes.length)} />}
        <Figure
          name={`numbers per patch (${features.name})`}
          value={formatInteger(features.width)}
        />
      </dl>
      {!brief && (
        <p class="small soft">
          {KINDS[kind]}
          {kind !== 'unlabelled' && <>; unit: {unit}</>}
        </p>
      )}
      {simulated && !brief && (
        <p class="note warn small">
          Drawn by a program. Good for learning how this page works; its scores say nothing about
          real tissue.
        </p>
      )}
      {notes.length > 0 && !brief && (
        <details class="small">
          <summary>{formatCount(notes.length, 'remark')} on these data</summary>
          <ul class="list">
            {notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
