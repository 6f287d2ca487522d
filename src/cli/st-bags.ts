import { z } from 'zod';
import { makeStBags } from '../data/node/st-bags.ts';
import { formatCount } from '../report/format.ts';
import { checkOptions } from './check-options.ts';
import { commandName } from './command-name.ts';

const schema = z.object({
  source: z.string(),
  out: z.string(),
  window: z.int().min(1),
  stride: z.int().min(1).optional(),
  minSpots: z.int().min(1).optional(),
  minCounts: z.int().min(1).optional(),
  genes: z.string().optional(),
  crops: z.string().optional(),
  sections: z.string().optional(),
  validation: z.boolean().optional(),
  seed: z.int().min(0).optional(),
  quiet: z.boolean().optional(),
});

/** `histograd data st-bags`. */
export async function stBagsCommand(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const { sections, quiet, ...options } = checkOptions(schema, flags, 'The command line');
  const say = (text: string) => {
    if (!quiet) process.stdout.write(`${text}\n`);
  };
  const summary = await makeStBags({
    ...options,
    sections: sections?.split(',').map((id) => id.trim()),
    onSection: (section, bags) => say(`${section}: ${formatCount(bags, 'bag')}`),
  });
  const { bags, genes, features } = summary;
  say(
    `${formatCount(bags, 'bag')}, ${formatCount(genes, 'gene')}, features of width ${features} in ${options.out}`,
  );
  const byPatient = `--patients ${options.out}/patients.csv --splits ${options.out}/splits-patient.csv`;
  // Sections of one patient count as patients of their own where one of them is left out.
  const bySection = `--patient-pattern '^(.+)_x' --splits ${options.out}/splits-section.csv`;
  const severalPatients = summary.patientFolds.length > 0;
  say(`\nNext:
  ${commandName()} train --features ${options.out}/features --expression ${options.out}/expression.csv \\
    ${severalPatients ? byPatient : bySection} \\
    --transform log2 --model all --out runs/st`);
  if (severalPatients) {
    say(`
To leave out sections instead (training and test then share the patient), replace its second line by:
    ${bySection} \\`);
  }
}
