import { basename, relative } from 'node:path';

/** How to call the command again from where it was started: `histograd`, or what stands for it in a cloned repository and with npx. */
export function commandName(
  env: Readonly<Record<string, string | undefined>> = process.env,
  script = process.argv[1] ?? '',
  folder = process.cwd(),
): string {
  const { npm_lifecycle_event: event, npm_command: command } = env;
  if (event === 'histograd' || event === 'start') return 'npm run histograd --';
  if (event === 'npx' || command === 'exec') return 'npx histograd';
  // Not by its name in the path, but by its file.
  return basename(script) === 'cli.js' ? `node ${relative(folder, script)}` : 'histograd';
}
