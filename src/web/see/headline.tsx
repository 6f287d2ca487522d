/** How good the model is, in a few honest lines. */
import { formatCount, formatFixed, formatInteger } from '../../report/format.ts';
import { sampleNoun } from '../app/words.ts';
import type { DatasetSummary, RunState, Scores } from '../protocol.ts';
import { headline } from './gene-rows.ts';

/** Below this, a correlation over samples says little. */
const FEW = 20;

export interface HeadlineProps {
  readonly scores: Scores;
  readonly dataset: DatasetSummary;
  readonly run: RunState;
}

export function Headline({ scores, dataset, run }: HeadlineProps) {
  const { samples, part, reachable } = scores;
  const noun = sampleNoun(dataset.kind);
  const notes = [...(run.split?.note ? [run.split.note] : []), ...run.notes];
  if (samples === 0) {
    return (
      <div class="see-headline">
        <p>
          <b>No scores.</b>{' '}
          {dataset.kind === 'unlabelled'
            ? 'These slides come without measured expression, so predictions cannot be checked here.'
            : 'No samples were kept aside for testing. Train with a test part to see how good the model is.'}
        </p>
        <Notes notes={notes} />
      </div>
    );
  }
  const { mean, median, defined, significant } = headline(scores.genes);
  const undefinedGenes = scores.genes.length - defined;
  return (
    <div class="see-headline">
      <p class="see-figures">
        <span>
          <b>{formatFixed(mean, 2)}</b> mean r
        </span>
        <span>
          <b>{formatFixed(median, 2)}</b> median r
        </span>
        {reachable !== null && (
          <span title="The data are simulated, so it is known how well a perfect model would do on these samples: noise keeps it below 1">
            <b>{formatFixed(reachable, 2)}</b> reachable
          </span>
        )}
      </p>
      <p>
        Pearson’s r per gene over{' '}
        {part === 'test'
          ? `${formatCount(samples, `test ${noun}`)} that the model has not learned from`
          : `all ${formatCount(samples, noun)}`}
        ; {formatInteger(significant)} of {formatCount(defined, 'gene')} with r &gt; 0 and q &lt;
        0.05.
      </p>
      {part === 'all' && (
        <p class="see-caution">
          It is not known which of these samples the model has learned from: the scores may be too
          good.
        </p>
      )}
      {samples < FEW && (
        <p class="see-caution">Only {formatCount(samples, noun)}: the scores are very uncertain.</p>
      )}
      {undefinedGenes > 0 && (
        <p>
          {formatCount(undefinedGenes, 'gene')} without a score (—): no variation to correlate with.
        </p>
      )}
      <Notes notes={notes} />
    </div>
  );
}

function Notes({ notes }: { notes: readonly string[] }) {
  return (
    <>
      {notes.map((note) => (
        <p key={note} class="see-caution">
          {note}
        </p>
      ))}
    </>
  );
}
