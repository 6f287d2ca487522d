/** The genes with their scores: sorted, searched, and only the rows in sight rendered, for 20,000 of them. */
import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks';
import {
  formatFixed,
  formatInteger,
  formatProbability,
  formatSignificant,
} from '../../report/format.ts';
import { searchGenes } from '../app/gene-choice.ts';
import type { GeneScore } from '../protocol.ts';
import { type Column, firstSort, type Sort, sortGenes } from './gene-rows.ts';

export interface GeneTableProps {
  readonly genes: readonly GeneScore[];
  /** Whether there are scores at all. */
  readonly scored: boolean;
  readonly gene: string;
  readonly onGene: (gene: string) => void;
}

/** Pixels; rows of `.see-gene-scroller` have the same height. */
const ROW = 27;
const HEAD = 31;
/** Rows rendered beyond what is seen, so that quick scrolling shows no gaps. */
const MARGIN = 8;

const COLUMNS: readonly { column: Column; name: string; hint: string }[] = [
  { column: 'gene', name: 'Gene', hint: 'Name of the gene' },
  {
    column: 'pearson',
    name: 'r',
    hint: 'Pearson’s correlation of predicted and measured expression: 1 is perfect, 0 is none',
  },
  {
    column: 'q',
    name: 'q',
    hint: 'Probability of such a correlation by chance, corrected for testing many genes (Benjamini and Hochberg)',
  },
  { column: 'mse', name: 'MSE', hint: 'Mean squared error: smaller is better' },
];

const UNDEFINED =
  'Undefined: what was measured (or predicted) does not vary over the scored samples';

export function GeneTable({ genes, scored, gene, onGene }: GeneTableProps) {
  const [sort, setSort] = useState<Sort>(firstSort(scored ? 'pearson' : 'gene'));
  const [search, setSearch] = useState('');
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const scroller = useRef<HTMLDivElement>(null);
  const grid = useRef<HTMLTableElement>(null);
  const id = useId();

  const sorted = useMemo(() => sortGenes(genes, sort), [genes, sort]);
  const rows = useMemo(() => searchGenes(sorted, search, (row) => row.gene), [sorted, search]);
  const index = rows.findIndex((row) => row.gene === gene);
  const columns = scored ? COLUMNS : COLUMNS.slice(0, 1);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const resized = new ResizeObserver(() => setHeight(element.clientHeight));
    resized.observe(element);
    return () => resized.disconnect();
  }, []);

  useEffect(() => {
    const element = scroller.current;
    if (!element || index < 0) return;
    const room = element.clientHeight - HEAD;
    if (index * ROW < element.scrollTop) element.scrollTop = index * ROW;
    else if ((index + 1) * ROW > element.scrollTop + room) {
      element.scrollTop = (index + 1) * ROW - room;
    }
  }, [index, height]);

  const choose = (wanted: number) => {
    const row = rows[Math.min(rows.length - 1, Math.max(0, wanted))];
    if (row) onGene(row.gene);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor((height - HEAD) / ROW) - 1);
    const moves: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index < 0 ? 0 : index - 1,
      PageDown: index + page,
      PageUp: index - page,
      Home: 0,
      End: rows.length - 1,
    };
    const wanted = moves[event.key];
    if (wanted === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(wanted);
  };

  const first = Math.max(0, Math.floor(top / ROW) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + MARGIN);
  return (
    <div class="see-genes">
      <label class="visually-hidden" for={`${id}-search`}>
        Search genes
      </label>
      <input
        id={`${id}-search`}
        type="search"
        placeholder={`Search ${formatInteger(genes.length)} genes`}
        value={search}
        onInput={(event) => {
          setSearch(event.currentTarget.value);
          scroller.current?.scrollTo({ top: 0 });
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') choose(0);
          if (event.key === 'ArrowDown') {
            event.preventDefault();
            if (index < 0) choose(0);
            grid.current?.focus();
          }
        }}
      />
      <span class="visually-hidden" role="status">
        {search ? `${rows.length} genes found` : ''}
      </span>
      <div
        class="see-gene-scroller"
        ref={scroller}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        <table
          // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: ARIA's pattern of a grid in a table
          role="grid"
          class={scored ? '' : 'bare'}
          tabIndex={0}
          ref={grid}
          aria-label="Genes; arrow keys change the gene that is shown"
          aria-rowcount={rows.length + 1}
          aria-activedescendant={index >= first && index < last ? `${id}-${index}` : undefined}
          onKeyDown={onKeyDown}
        >
          <thead>
            <tr aria-rowindex={1}>
              {columns.map(({ column, name, hint }) => (
                <th key={column} scope="col" aria-sort={ariaSort(sort, column)}>
                  <button
                    type="button"
                    title={hint}
                    onClick={() => {
                      setSort(
                        sort.column === column
                          ? { column, descending: !sort.descending }
                          : firstSort(column),
                      );
                    }}
                    onKeyDown={(event) => event.stopPropagation()}
                  >
                    {name}
                    {sort.column === column && (
                      <span aria-hidden="true">{sort.descending ? ' ▾' : ' ▴'}</span>
                    )}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr class="see-gap" style={{ height: `${first * ROW}px` }} />
            {rows.slice(first, last).map((row, i) => (
              <GeneRow
                key={row.gene}
                id={`${id}-${first + i}`}
                row={row}
                index={first + i}
                selected={row.gene === gene}
                scored={scored}
                onGene={onGene}
              />
            ))}
            <tr class="see-gap" style={{ height: `${Math.max(0, rows.length - last) * ROW}px` }} />
          </tbody>
        </table>
        {rows.length === 0 && <p class="see-none">No gene’s name contains “{search}”.</p>}
      </div>
    </div>
  );
}

function ariaSort(sort: Sort, column: Column): 'ascending' | 'descending' | 'none' {
  if (sort.column !== column) return 'none';
  return sort.descending ? 'descending' : 'ascending';
}

interface GeneRowProps {
  readonly id: string;
  readonly row: GeneScore;
  readonly index: number;
  readonly selected: boolean;
  readonly scored: boolean;
  readonly onGene: (gene: string) => void;
}

function GeneRow({ id, row, index, selected, scored, onGene }: GeneRowProps) {
  const undefinedScore = Number.isNaN(row.pearson);
  return (
    <tr id={id} aria-rowindex={index + 2} aria-selected={selected} onClick={() => onGene(row.gene)}>
      <td title={row.gene}>{row.gene}</td>
      {scored && (
        <>
          <td title={undefinedScore ? UNDEFINED : undefined}>
            <span
              class="see-gene-bar"
              aria-hidden="true"
              style={{ width: `${Math.max(0, row.pearson || 0) * 100}%` }}
            />
            {undefinedScore ? <Missing /> : formatFixed(row.pearson, 2)}
          </td>
          <td title={`q ${formatProbability(row.q)}`}>
            {Number.isNaN(row.q) ? <Missing /> : shortProbability(row.q)}
          </td>
          <td title={`MSE ${formatSignificant(row.mse)}`}>
            {Number.isNaN(row.mse) ? <Missing /> : shortError(row.mse)}
          </td>
        </>
      )}
    </tr>
  );
}

/** Narrow, so that the names have room; the whole number is in the title, and beside the plot. */
function shortProbability(q: number): string {
  return q < 0.001 ? '< 0.001' : formatFixed(q);
}

function shortError(mse: number): string {
  const decimals = Math.max(0, 1 - Math.floor(Math.log10(mse || 1)));
  return formatFixed(mse, Math.min(decimals, 3));
}

function Missing() {
  return (
    <>
      <span aria-hidden="true">—</span>
      <span class="visually-hidden">undefined</span>
    </>
  );
}
