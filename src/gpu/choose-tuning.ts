/** Which tuning a device runs with, and how anybody can see it. */
import { requestedTuning, TOGGLES } from '#platform';
import { HistogradError } from '../errors.ts';
import type { AdapterClass, ChosenAdapter } from './adapter.ts';
import { requireTuning, type Tuning, tuningMark } from './tuning.ts';
import { TUNINGS, type TuningName } from './tunings.ts';

export interface ChosenTuning {
  readonly tuning: Tuning;
  /** One sentence: why this one. */
  readonly why: string;
  /** Undefined for the pinned tuning of this adapter; else a mark of the content, for records of results. */
  readonly mark: string | undefined;
}

/** What a stored tuning belongs to: times on one driver say nothing of another. */
export interface TuningKey {
  readonly adapter: string;
  readonly driver: string;
}

/** What the platform found where the user pointed it: a tuning, or why there is none. */
export type RequestedTuning =
  | { readonly tuning: Tuning; readonly from: string }
  | { readonly ignored: string };

/** The pinned tuning for an adapter: that of its vendor, or the safe one for GPUs that are not known. */
export function defaultTuning(info: GPUAdapterInfo, cls: AdapterClass): Tuning {
  if (cls === 'cpu') return TUNINGS.cpu;
  const vendors = ['nvidia', 'amd', 'apple', 'intel'] as const;
  const vendor = vendors.find((name) => name === info.vendor.toLowerCase());
  return TUNINGS[vendor ?? 'gpu'];
}

export function tuningKey({ adapter: { info }, name }: ChosenAdapter): TuningKey {
  const hardware = [info.vendor, info.architecture, info.device].filter(Boolean).join(' ');
  return { adapter: hardware || name, driver: info.description };
}

/**
 * Takes the tuning asked for; else the one that `HISTOGRAD_TUNING` names (Node only), if it belongs to this adapter and
 * driver; else the pinned one.
 *
 * @param asked the name of a pinned tuning, or one of the caller's own. `cpu` and `gpu`: the adapter's own where it is of that
 *   class.
 * @throws HistogradError `bad-tuning` for an unknown name, a tuning that no kernel can run with, or a file that is not there.
 */
export async function chooseTuning(
  chosen: ChosenAdapter,
  asked?: TuningName | Tuning,
): Promise<ChosenTuning> {
  const own = defaultTuning(chosen.adapter.info, chosen.class);
  const pinned = { tuning: own, why: 'pinned for this kind of adapter', mark: undefined };
  if (asked === own.class) return pinned;
  if (typeof asked === 'string') {
    const tuning: Tuning | undefined = TUNINGS[asked];
    if (!tuning) {
      throw new HistogradError(
        'bad-tuning',
        `Unknown tuning '${asked}'.`,
        `Use one of ${Object.keys(TUNINGS).join(', ')}, or a whole tuning.`,
      );
    }
    return { tuning, why: 'asked for by name', mark: markOf(tuning, own) };
  }
  if (asked) {
    const tuning = requireTuning(asked);
    return { tuning, why: 'given by the program', mark: markOf(tuning, own) };
  }
  const requested = await requestedTuning(tuningKey(chosen));
  if (!requested) return pinned;
  if ('ignored' in requested) return { ...pinned, why: `${pinned.why}; ${requested.ignored}` };
  const { tuning, from } = requested;
  return { tuning, why: `from ${from}`, mark: markOf(tuning, own) };
}

function markOf(tuning: Tuning, own: Tuning): string | undefined {
  const mark = tuningMark(tuning);
  return mark === tuningMark(own) ? undefined : mark;
}

/** A chosen tuning in a few words: 'nvidia (pinned for this kind of adapter)'. */
export function describeTuning({ tuning, why, mark }: ChosenTuning): string {
  return `${tuning.name}${mark ? ` ${mark}` : ''} (${why})`;
}

/** All that decides how kernels run here besides the adapter, a line each; for whoever prints figures. */
export function knobLines(chosen: ChosenTuning): string[] {
  return [
    `tuning: ${describeTuning(chosen)}`,
    `Dawn toggles: ${TOGGLES.length > 0 ? TOGGLES.join('; ') : "the browser's own"}`,
  ];
}
