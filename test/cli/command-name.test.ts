import { expect, it } from 'vitest';
import { commandName } from '../../src/cli/command-name.ts';

it.each([
  [{ npm_lifecycle_event: 'histograd' }, '/repo/dist/node/cli.js', 'npm run histograd --'],
  [{ npm_lifecycle_event: 'start' }, '/repo/dist/node/cli.js', 'npm run histograd --'],
  [{ npm_lifecycle_event: 'npx', npm_command: 'exec' }, '/x/.bin/histograd', 'npx histograd'],
  [{}, '/repo/dist/node/cli.js', 'node dist/node/cli.js'],
  [{}, '/usr/local/bin/histograd', 'histograd'],
])('%j %s is called by %s', (env, script, expected) => {
  expect(commandName(env, script, '/repo')).toBe(expected);
});
