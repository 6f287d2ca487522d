/** Which slide, and whether the model has learned from it. */
import { useId } from 'preact/hooks';
import type { DatasetSummary, SlideSummary } from '../protocol.ts';

type Part = SlideSummary['part'];

const PARTS: readonly { part: Part; group: string; badge: string; hint: string; tone: string }[] = [
  {
    part: 'test',
    group: 'Test (never learned from)',
    badge: 'test: not learned from',
    hint: 'The model has not learned from this slide: what it shows here is a real prediction',
    tone: 'good',
  },
  {
    part: 'validation',
    group: 'Validation (decided when to stop)',
    badge: 'validation: not learned from',
    hint: 'The model has not learned from this slide, but it decided when training stopped',
    tone: 'accent',
  },
  {
    part: 'train',
    group: 'Training (learned from)',
    badge: 'training: learned from',
    hint: 'The model has learned from this slide: predictions look better here than elsewhere',
    tone: 'warn',
  },
  { part: 'unassigned', group: 'Other slides', badge: '', hint: '', tone: '' },
];

/** Test slides first: there the prediction is one. */
export function defaultSlide(slides: readonly SlideSummary[]): SlideSummary | undefined {
  return slides.find((slide) => slide.part === 'test') ?? slides[0];
}

export interface SlideChoiceProps {
  readonly dataset: DatasetSummary;
  readonly slide: SlideSummary;
  readonly onSlide: (id: string) => void;
}

export function SlideChoice({ dataset, slide, onSlide }: SlideChoiceProps) {
  const id = useId();
  const word = dataset.kind === 'spots' ? 'Section' : 'Slide';
  const groups = PARTS.map((group) => ({
    ...group,
    slides: dataset.slides.filter((other) => other.part === group.part),
  })).filter((group) => group.slides.length > 0);
  const order = groups.flatMap((group) => group.slides);
  const index = order.indexOf(slide);
  const step = (by: number) => {
    const next = order[index + by];
    if (next) onSlide(next.id);
  };
  const options = (slides: readonly SlideSummary[]) =>
    slides.map((other) => (
      <option key={other.id} value={other.id}>
        {other.id}
      </option>
    ));
  const own = PARTS.find((group) => group.part === slide.part);
  return (
    <div class="see-slides">
      <label for={id}>{word}</label>
      <button
        type="button"
        class="button"
        aria-label={`Previous ${word.toLowerCase()}`}
        disabled={index <= 0}
        onClick={() => step(-1)}
      >
        ‹
      </button>
      <select id={id} value={slide.id} onChange={(event) => onSlide(event.currentTarget.value)}>
        {groups.length === 1 && groups[0]?.part === 'unassigned'
          ? options(order)
          : groups.map(({ group, slides }) => (
              <optgroup key={group} label={group}>
                {options(slides)}
              </optgroup>
            ))}
      </select>
      <button
        type="button"
        class="button"
        aria-label={`Next ${word.toLowerCase()}`}
        disabled={index >= order.length - 1}
        onClick={() => step(1)}
      >
        ›
      </button>
      {own?.badge && (
        <span class={`badge ${own.tone}`} title={own.hint}>
          {own.badge}
        </span>
      )}
      <span class="soft small">
        {order.length > 1 ? `${index + 1} of ${order.length}` : ''}
        {slide.patient !== slide.id
          ? `${order.length > 1 ? ', ' : ''}patient ${slide.patient}`
          : ''}
      </span>
    </div>
  );
}
