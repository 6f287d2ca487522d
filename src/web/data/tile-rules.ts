/** How a model's tiles were cut and chosen, out of what its file says. */
import { z } from 'zod';
import type { FeatureSettings } from '../../data/feature-settings.ts';
import { HistogradError } from '../../errors.ts';

const KEEP = z.union([
  z.strictObject({ above: z.number() }),
  z.strictObject({ abovePerPixel: z.number() }),
  z.strictObject({ sigmas: z.number() }),
  z.strictObject({ fraction: z.number() }),
]);

const RULES = z.object({
  extractor: z.string().optional(),
  tiling: z
    .object({
      size: z.int().positive(),
      mpp: z.number().positive().optional(),
      /** Where the scale is unknown: sides of a tile in distances of spots. */
      pitches: z.number().positive().optional(),
      overlap: z.int().min(0).optional(),
      edge: z.enum(['drop', 'pad']).optional(),
    })
    .optional(),
  select: z
    .object({
      tissue: z.enum(['sequoia', 'otsu', 'none']).optional(),
      minTissue: z.number().optional(),
      selector: z.enum(['none', 'shannon', 'ig', 'canny', 'dog', 'log', 'otsu']).optional(),
      keep: KEEP.optional(),
    })
    .optional(),
  stain: z.enum(['none', 'macenko']).optional(),
});

export type TileRules = z.infer<typeof RULES>;

/** Undefined for models that do not say it. Throws `odd-features` for what this page cannot do again. */
export function tileRules(
  settings: FeatureSettings | undefined,
  model: string,
): TileRules | undefined {
  if (settings === undefined) return undefined;
  const parsed = RULES.safeParse(settings);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new HistogradError(
    'odd-features',
    `${model} was trained on features that cannot be made here: ${issue?.path.join('.')}: ${issue?.message}.`,
    'Make them with histograd extract in Node, and drop the feature files instead of the slide.',
  );
}
