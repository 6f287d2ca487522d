import { existsSync, readFileSync } from 'node:fs';
import { playwright } from '@vitest/browser-playwright';
import type { UserConfig } from 'vite';
import { defineConfig } from 'vitest/config';
import { contentSecurityPolicy } from './vite-csp.ts';
import { keepUnchanged } from './vite-keep-unchanged.ts';
import { wgsl } from './vite-wgsl.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));

/** The embedded driver is built for this platform only. */
const EMBEDDED = process.platform === 'linux' && process.arch === 'x64';

if (process.env.VITEST) {
  if (!CHROMIUM) console.warn('No Chromium found: the browser project is left out.');
  if (!EMBEDDED) console.warn('Not x64 Linux: the swiftshader project is left out.');
}

/** Tests that run on every adapter and in the browser; the others need Node or are slow. */
const ENGINE_TESTS = [
  'test/{gpu,tensor,autograd,ops,nn,optim,unsupervised,models,extraction}/**/*.test.ts',
];
/**
 * Chromium runs all of the engine on SwiftShader; here it is loaded into Node, so that what is left to see is the
 * driver in this place: the device, memory, and kernels of each kind (products: through the networks of parity).
 */
const SWIFTSHADER_SUBSET = [
  'test/{gpu,tensor,autograd}/**/*.test.ts',
  'test/ops/{reduce,segment,softmax,batch-norm}.test.ts',
  'test/models/parity.test.ts',
];

/** The app: static files that any host serves from any folder. */
const WEB_APP: UserConfig = {
  root: 'src/web',
  base: './',
  plugins: [wgsl(), contentSecurityPolicy()],
  define: { HISTOGRAD_VERSION: JSON.stringify(version) },
  build: {
    target: 'es2023',
    // Whoever has WebGPU has `light-dark()` and nesting.
    cssTarget: ['chrome123', 'firefox141', 'safari18'],
    outDir: '../../dist/web',
    emptyOutDir: true,
  },
  worker: { format: 'es', plugins: () => [wgsl()] },
};

/**
 * Of a project of its own: lavapipe needs a mapping for every bind group and pipeline, of which a process has 65,530,
 * and all tests in one come to 60,000.
 */
const OPS_TESTS = ['test/ops/**/*.test.ts'];
const LARGE_TESTS = ['test/models/extractors/full-size.node.test.ts'];

export default defineConfig(({ mode }) => {
  if (mode === 'web') return WEB_APP;
  const browser = mode === 'browser';
  const bench = mode === 'bench';
  const input: Record<string, string> = bench
    ? { bench: 'kernels-bench/main.ts', extraction: 'kernels-bench/extraction.ts' }
    : {
        index: 'src/index.node.ts',
        cli: 'src/cli/main.ts',
        'tile-worker': 'src/extraction/node/tile-worker.ts',
      };
  return {
    plugins: [wgsl(), ...(mode === 'node' ? [keepUnchanged()] : [])],
    define: { HISTOGRAD_VERSION: JSON.stringify(version) },
    build: {
      target: 'es2023',
      outDir: browser ? 'dist/browser' : bench ? 'dist/bench' : 'dist/node',
      emptyOutDir: mode !== 'node',
      sourcemap: true,
      minify: false,
      ssr: !browser,
      lib: browser ? { entry: { index: 'src/index.ts' }, formats: ['es'] } : undefined,
      rollupOptions: browser
        ? { external: ['papaparse', 'h5wasm'] }
        : {
            input,
            output: { entryFileNames: '[name].js', format: 'es' },
          },
    },
    // Its package.json points at a CommonJS file that Node cannot load as a module.
    ssr: { noExternal: ['wgsl_reflect'] },
    resolve: mode === 'node' || bench ? { conditions: ['node', 'import'] } : {},
    test: {
      // Software adapters spend most of a test compiling kernels, on one core each: two workers, and Chromium beside them.
      maxWorkers: 2,
      testTimeout: 120_000,
      hookTimeout: 120_000,
      reporters: ['default'],
      projects: [
        {
          extends: true,
          test: {
            name: 'node',
            include: ['test/**/*.test.ts'],
            exclude: ['test/**/*.browser.test.{ts,tsx}', ...OPS_TESTS, ...LARGE_TESTS],
            globalSetup: 'test/cli/build-command.ts',
            pool: 'forks',
            isolate: false,
          },
        },
        {
          extends: true,
          test: {
            name: 'node-ops',
            include: OPS_TESTS,
            exclude: ['test/**/*.browser.test.{ts,tsx}'],
            pool: 'forks',
            isolate: false,
          },
        },
        {
          extends: true,
          test: { name: 'node-large', include: LARGE_TESTS, pool: 'forks' },
        },
        ...(EMBEDDED
          ? [
              {
                extends: true as const,
                test: {
                  name: 'swiftshader',
                  include: SWIFTSHADER_SUBSET,
                  exclude: [
                    'test/**/*.{browser,node}.test.ts',
                    'test/gpu/{tuning,compile-ahead}.test.ts',
                  ],
                  pool: 'forks' as const,
                  isolate: false,
                  env: { HISTOGRAD_ADAPTER: 'swiftshader' },
                },
              },
            ]
          : []),
        ...(CHROMIUM
          ? [
              {
                extends: true as const,
                resolve: { conditions: ['browser', 'import'] },
                // Found only while a test runs, they would make Vite reload the page under it.
                optimizeDeps: {
                  include: [
                    'preact',
                    'preact/hooks',
                    'preact/jsx-dev-runtime',
                    '@preact/signals',
                    'comlink',
                    'openseadragon',
                    'uplot',
                    'h5wasm',
                    'geotiff',
                    'dcmjs',
                    'papaparse',
                    'zod',
                    'fast-png',
                    'ml-matrix',
                    'simple-statistics',
                    'linkedom',
                    'jstat',
                    '@observablehq/plot',
                    '@cornerstonejs/codec-openjpeg/decodewasmjs',
                    '@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs',
                    'wgsl_reflect/wgsl_reflect.module.js',
                    'fflate',
                  ],
                },
                test: {
                  name: 'browser',
                  include: [...ENGINE_TESTS, 'test/**/*.browser.test.{ts,tsx}'],
                  // Products through every pinned tuning take SwiftShader half a minute; lavapipe runs them.
                  exclude: ['test/**/*.node.test.ts', 'test/gpu/tuning.test.ts'],
                  browser: {
                    enabled: true,
                    headless: true,
                    fileParallelism: false, // its GPU process compiles for one page at a time
                    screenshotFailures: false,
                    provider: playwright({
                      launchOptions: {
                        executablePath: CHROMIUM,
                        args: [
                          '--no-sandbox',
                          '--enable-unsafe-webgpu',
                          '--disable-quic',
                          '--no-first-run',
                          '--disable-background-networking',
                          '--disable-component-update',
                          '--disable-sync',
                        ],
                      },
                    }),
                    instances: [{ browser: 'chromium' as const }],
                  },
                },
              },
            ]
          : []),
      ],
    },
  };
});
