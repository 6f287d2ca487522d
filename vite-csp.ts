import type { Plugin } from 'vite';

/**
 * What the built page may load: its own files. Images may also be drawn ones (blob:) and inlined ones (data:);
 * WebAssembly compiles (HDF5, codecs), but no text is ever run as a program, and nothing is sent anywhere.
 * The worker is started by a blob (`engine-client.ts`), so that all this holds for it too.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "worker-src 'self' blob:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
].join('; ');

/** Writes the policy into the page, since a static host sends no header; not while developing, where styles are inline. */
export function contentSecurityPolicy(): Plugin {
  return {
    name: 'content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY },
        injectTo: 'head-prepend',
      },
    ],
  };
}
