/** A user's browser, and an eye on what the page asks for and complains of. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright';
import { describe, expect } from 'vitest';
import type { Site } from './site.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);

/** Left out, and named in the list of skipped tests, where there is no Chromium. */
export const describeInChromium = describe.skipIf(!CHROMIUM);

/** Other work on the machine makes a step long; the whole takes about a minute on two quiet cores. */
export const PATIENT = { timeout: 180_000 };

const QUIET = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch({ webgpu = true } = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: webgpu
      ? [...QUIET, '--enable-unsafe-webgpu']
      : [...QUIET, '--disable-blink-features=WebGPU'],
  });
}

export interface Visit {
  readonly page: Page;
  /** No request to anywhere else, nothing against the policy, no error in the console. */
  expectClean(): void;
  close(): Promise<void>;
}

/** Opens the page as a new user: with storage of its own. */
export async function visit(
  browser: Browser,
  site: Site,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    acceptDownloads: true,
    ...options,
  });
  const elsewhere: string[] = [];
  const complaints: string[] = [];
  let seen = 0;
  // Of workers too.
  context.on('request', (request) => {
    const url = request.url();
    seen++;
    if (!url.startsWith(site.url) && !/^(blob|data):/.test(url)) elsewhere.push(url);
  });
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(site.url);
  return {
    page,
    expectClean() {
      expect(seen).toBeGreaterThan(3);
      expect(elsewhere).toEqual([]);
      expect(complaints).toEqual([]);
    },
    close: () => context.close(),
  };
}

/** For docs/images, with UPDATE_SCREENSHOTS=1. */
export async function picture(
  page: Page,
  name: string,
  colorScheme: 'light' | 'dark' = 'light',
): Promise<void> {
  if (!process.env.UPDATE_SCREENSHOTS) return;
  const folder = fileURLToPath(new URL('../../../docs/images', import.meta.url));
  await page.emulateMedia({ colorScheme });
  // A photograph is large: less of it.
  if (name === 'section') await page.setViewportSize({ width: 1024, height: 720 });
  await page.evaluate(() => scrollTo(0, 0));
  // The map draws its tiles one by one.
  await page.waitForTimeout(1500);
  await page.screenshot({ path: `${folder}/app-${name}.png`, fullPage: name === 'own-files' });
  await page.emulateMedia({ colorScheme: 'light' });
}
