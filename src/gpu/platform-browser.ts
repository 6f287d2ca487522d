/** The browser's side of `#platform`: same exports as platform-node.ts. */
import type { AdapterRequest, ChosenAdapter, Route } from './adapter.ts';
import type { RequestedTuning, TuningKey } from './choose-tuning.ts';

export const platform: 'node' | 'browser' = 'browser';
export const routes: readonly Route[] = ['system'];

/** Browsers have no environment variables. */
export function adapterSetting(): string | undefined {
  return undefined;
}

/** Nor files of tunings. */
export async function requestedTuning(_key: TuningKey): Promise<RequestedTuning | null> {
  return null;
}

/** A page cannot set Dawn's toggles. */
export const TOGGLES: readonly string[] = [];

const NEEDS_WEBGPU =
  'Open the page over https:// or on localhost, in a browser with WebGPU: Chrome or Edge 113+ ' +
  '(Linux: 144+, or with --enable-unsafe-webgpu), Firefox 141+ on Windows and 145+ on macOS, ' +
  'Safari 26+. Check that hardware acceleration is switched on in its settings.';

/** What to do when a request finds nothing. */
export const ADVICE: Record<AdapterRequest, string> = {
  auto: NEEDS_WEBGPU,
  hardware: `${NEEDS_WEBGPU} A software adapter is taken with 'auto'.`,
  lavapipe: "Browsers cannot use lavapipe. Ask for 'auto', or use Node.",
  swiftshader: "Start Chrome with --enable-unsafe-webgpu, or ask for 'auto'.",
};

const A_GPU =
  'a GPU, by far the fastest: switch on hardware acceleration in the settings of the ' +
  'browser, and see what chrome://gpu says of WebGPU';

/** What would be faster than the kind at hand, and how to get it. */
export const FASTER: Record<ChosenAdapter['kind'], readonly string[]> = {
  hardware: [],
  'system-software': [A_GPU],
  'embedded-software': ['Node with lavapipe, 3 to 5 times as fast', A_GPU],
};

/**
 * Asks the browser for an adapter.
 * @throws Error when the page has no WebGPU at all, saying why.
 */
export async function requestFrom(
  _route: Route,
  request: AdapterRequest,
): Promise<GPUAdapter | null> {
  const { gpu } = browserNavigator();
  if (!gpu) {
    throw new Error(
      Reflect.get(globalThis, 'isSecureContext') === false
        ? 'navigator.gpu is missing because the page is not a secure context (https:// or localhost)'
        : 'this browser has no WebGPU (navigator.gpu is missing)',
    );
  }
  const options: GPURequestAdapterOptions =
    request === 'swiftshader'
      ? { forceFallbackAdapter: true }
      : { powerPreference: 'high-performance' };
  // Chromium answers null once while its GPU process restarts.
  return (await gpu.requestAdapter(options)) ?? gpu.requestAdapter(options);
}

/** Awaits work of an adapter on this processor; browsers wait without a core. */
export function untilDone<T>(work: Promise<T>): Promise<T> {
  return work;
}

/** Versions and hardware worth a line in a diagnosis. */
export async function hostFacts(): Promise<Record<string, string>> {
  const { userAgent, hardwareConcurrency } = browserNavigator();
  return { browser: userAgent ?? 'unknown', cores: String(hardwareConcurrency ?? 'unknown') };
}

interface BrowserNavigator {
  gpu?: GPU;
  userAgent?: string;
  hardwareConcurrency?: number;
}

/** The DOM's types stay out of this project, which also runs in Node. */
function browserNavigator(): BrowserNavigator {
  return Reflect.get(globalThis, 'navigator') ?? {};
}
