import { formatCount } from '../../report/format.ts';
import type { Split } from '../protocol.ts';

const PARTS = [
  { part: 'train', label: 'to learn from' },
  { part: 'validation', label: 'to watch for over-fitting' },
  { part: 'test', label: 'kept aside for the final scores' },
] as const;

/** How many patients (slides, spots) are in which part, drawn and told. */
export function SplitBar({ split }: { split: Split }) {
  const total = Math.max(1, split.train + split.validation + split.test);
  return (
    <div class="split">
      <svg class="split-bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        {PARTS.map(({ part }, i) => {
          const before = PARTS.slice(0, i).reduce((sum, p) => sum + split[p.part], 0);
          return (
            <rect
              key={part}
              class={part}
              x={(100 * before) / total}
              width={(100 * split[part]) / total}
              height="6"
            />
          );
        })}
      </svg>
      <ul class="split-parts small">
        {PARTS.filter(({ part }) => split[part] > 0).map(({ part, label }) => (
          <li key={part}>
            <span class={`swatch ${part}`} aria-hidden="true" />
            <strong>{formatCount(split[part], split.unit.slice(0, -1))}</strong> {label}
          </li>
        ))}
      </ul>
      <p class="small soft">
        {split.unit === 'patients'
          ? 'No patient is in two parts, so the scores tell how well unseen patients are predicted.'
          : `Divided by ${split.unit}, because there is one patient only.`}
        {split.note && ` ${split.note}`}
      </p>
    </div>
  );
}
