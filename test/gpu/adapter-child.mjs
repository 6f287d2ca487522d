// Chooses an adapter in a process of its own, for adapter.node.test.ts: drivers, once loaded, stay
// loaded, so each case needs a fresh process. Prints a Diagnosis as one line of JSON.
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';

const server = await createServer({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  mode: 'node',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
  appType: 'custom',
  logLevel: 'error',
});
const { diagnose } = await server.ssrLoadModule('/src/gpu/doctor.ts');
for (const request of process.argv.slice(2)) {
  console.log(JSON.stringify(await diagnose(request === 'default' ? undefined : request)));
}
await server.close();
process.exit(0);
