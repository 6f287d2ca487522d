/**
 * Node's side of `#platform`: WebGPU through Dawn. The only file that imports `webgpu`, and it does
 * so on the first request, so that importing the library needs no GPU and no native code.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import type { AdapterRequest, ChosenAdapter, Route } from './adapter.ts';
import type { RequestedTuning, TuningKey } from './choose-tuning.ts';
import { embeddedDriver, loadVulkanLoader } from './embedded-driver.ts';

export const platform: 'node' | 'browser' = 'node';

/** The embedded driver and its Vulkan loader exist for Linux on x64 only. */
export const routes: readonly Route[] =
  process.platform === 'linux' && process.arch === 'x64'
    ? ['system', 'loader', 'embedded']
    : ['system'];

export function adapterSetting(): string | undefined {
  return process.env.HISTOGRAD_ADAPTER || undefined;
}

/** The tuning that the environment variable `HISTOGRAD_TUNING` asks for: a file, or `stored`. */
export async function requestedTuning(key: TuningKey): Promise<RequestedTuning | null> {
  const { HISTOGRAD_TUNING: setting } = process.env;
  if (!setting) return null;
  const { readTuning } = await import('./tuning-store.ts');
  return readTuning(setting, key);
}

const LAVAPIPE =
  process.platform === 'linux'
    ? 'install lavapipe: the package mesa-vulkan-drivers; on Debian 12, whose own is too old, as root ' +
      "echo 'deb http://deb.debian.org/debian bookworm-backports main' > /etc/apt/sources.list.d/backports.list && " +
      'apt-get update && apt-get install -y -t bookworm-backports mesa-vulkan-drivers libvulkan1'
    : 'lavapipe is a Linux driver';
const EMBEDDED = 'npm i @sparticuz/chromium@147.0.0 (a software driver, Linux x64, no root needed)';
const GPU_DRIVER =
  "install the GPU vendor's Vulkan driver and libvulkan1; if one is installed but not found, set " +
  'VK_DRIVER_FILES to its .json (for NVIDIA: nvidia_icd.json)';

/** What to do when a request finds nothing. */
export const ADVICE: Record<AdapterRequest, string> = {
  auto: `one of: ${EMBEDDED}; ${LAVAPIPE}; ${GPU_DRIVER}.`,
  hardware: `${GPU_DRIVER}; or ask for 'auto', which also takes a software driver.`,
  lavapipe: `${LAVAPIPE}; or ask for 'auto'.`,
  swiftshader: `${EMBEDDED}; or ask for 'auto'.`,
};

const A_GPU = `a GPU, by far the fastest: ${GPU_DRIVER}`;

/** What would be faster than the kind at hand, and how to get it. */
export const FASTER: Record<ChosenAdapter['kind'], readonly string[]> = {
  hardware: [],
  'system-software': [A_GPU],
  'embedded-software': [`lavapipe, 3 to 5 times as fast: ${LAVAPIPE}`, A_GPU],
};

/**
 * Dawn's toggles. Unsafe APIs unlock subgroup matrices, and f16 on NVIDIA needs its own switch.
 * Unquantised timestamps measure kernels shorter than 65 µs. Validation always stays on.
 */
export const TOGGLES: readonly string[] = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  'disable-dawn-features=timestamp_quantization',
];

// A Dawn instance that is garbage-collected crashes the process, so all stay on globalThis.
const INSTANCES = Symbol.for('histograd.webgpu.instances');

/** Dawn's own filter finds a software adapter beside a GPU; a forced fallback request misses it. */
const ADAPTER_FILTER: Partial<Record<AdapterRequest, string>> = {
  lavapipe: 'adapter=llvmpipe',
  swiftshader: 'adapter=SwiftShader',
};

/**
 * Asks one route for an adapter; null when it has none.
 * @throws Error when Dawn or the embedded package cannot be loaded, or none has the wanted name.
 */
export async function requestFrom(
  route: Route,
  request: AdapterRequest,
): Promise<GPUAdapter | null> {
  const environment = route === 'system' ? {} : await prepare(route);
  const filter = ADAPTER_FILTER[request];
  const gpu = await instance(route, filter);
  // Dawn reads the drivers within this call, so the variables need not outlive it: child processes
  // then choose for themselves.
  const before = { ...process.env };
  Object.assign(process.env, environment);
  const pending = gpu.requestAdapter({ powerPreference: 'high-performance' });
  for (const name of Object.keys(environment)) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  const adapter = await pending;
  if (!adapter && route !== 'embedded') throw new Error(`no adapter${explainNone(route)}`);
  return adapter;
}

function explainNone(route: Route): string {
  const { VK_DRIVER_FILES, VK_ICD_FILENAMES } = process.env;
  const set = VK_DRIVER_FILES || VK_ICD_FILENAMES;
  if (set) return ` with VK_DRIVER_FILES=${set}`;
  if (!systemDriverFiles().some((file) => file.includes('lvp_icd'))) return '';
  const loader = route === 'system' ? 'libvulkan1 is missing, or ' : '';
  return `, though Mesa is installed: ${loader}it is older than Dawn accepts (as Debian 12's 22.3 is)`;
}

async function instance(route: Route, filter: string | undefined): Promise<GPU> {
  const instances: Map<string, GPU> = Reflect.get(globalThis, INSTANCES) ?? new Map();
  Reflect.set(globalThis, INSTANCES, instances);
  const key = `${route} ${filter ?? ''}`.trim();
  const known = instances.get(key);
  if (known) return known;
  const { create, globals } = await import('webgpu').catch((error: Error) => {
    throw new Error(
      `the npm package 'webgpu' (Dawn) could not be loaded: ${error.message.split('\n')[0]}`,
    );
  });
  Object.assign(globalThis, globals);
  const gpu = create([...TOGGLES, ...(filter ? [filter] : [])]);
  instances.set(key, gpu);
  return gpu;
}

const ALARM = new Int32Array(new SharedArrayBuffer(4)); // never rings
/** Longer ones would hold up whoever reads files meanwhile: each turn of the event loop waits for one. */
const LONGEST_NAP_MS = 0.2;
/** Work that somebody waits for, since when, and whether the naps for it have begun. */
const waits = { pending: 0, since: 0, napping: false };

/**
 * Awaits work of an adapter that computes on this processor's cores. Dawn's binding for Node asks again and again
 * while something is pending, and takes a whole core from the driver. So the thread sleeps in between, a
 * tenth of the time it has waited.
 */
export async function untilDone<T>(work: Promise<T>): Promise<T> {
  if (waits.pending++ === 0) waits.since = performance.now();
  if (!waits.napping) setImmediate(nap);
  waits.napping = true;
  try {
    return await work;
  } finally {
    waits.pending--;
  }
}

function nap(): void {
  waits.napping = waits.pending > 0;
  if (!waits.napping) return;
  Atomics.wait(ALARM, 0, 0, Math.min((performance.now() - waits.since) / 10, LONGEST_NAP_MS));
  setImmediate(nap);
}

/** Loads the bundled Vulkan loader; returns the variables that point it at its drivers. */
async function prepare(route: 'loader' | 'embedded'): Promise<Record<string, string>> {
  if (!isMainThread) {
    // A worker's process.env is a copy that native code never sees.
    throw new Error('not available in a worker thread; ask for an adapter on the main thread');
  }
  const driver = embeddedDriver();
  loadVulkanLoader(driver.loader);
  if (route === 'embedded') return driverFiles(driver.icd);
  if (process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES) return {};
  const found = systemDriverFiles();
  if (found.length === 0) throw new Error('no Vulkan driver files on this system');
  return driverFiles(found.join(':'));
}

function driverFiles(value: string): Record<string, string> {
  return { VK_DRIVER_FILES: value, VK_ICD_FILENAMES: value };
}

function systemDriverFiles(): string[] {
  const roots = ['/etc', '/usr/share', '/usr/local/share', '/usr/local/nvidia/share'];
  return roots.flatMap((root) => {
    const folder = join(root, 'vulkan/icd.d');
    try {
      return readdirSync(folder)
        .filter((name) => name.endsWith('.json'))
        .map((name) => join(folder, name));
    } catch {
      return [];
    }
  });
}

/** Versions and hardware worth a line in a diagnosis. */
export async function hostFacts(): Promise<Record<string, string>> {
  return {
    node: process.version,
    webgpu: `${packageVersion('webgpu')} (Dawn)`,
    os: `${osName()}, ${process.platform}-${process.arch}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: String(os.availableParallelism()),
    memory: `${(os.totalmem() / 2 ** 30).toFixed(1)} GiB`,
  };
}

function osName(): string {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(release)?.[1] ?? os.version();
  } catch {
    return `${os.type()} ${os.release()}`;
  }
}

function packageVersion(name: string): string {
  try {
    const file = createRequire(import.meta.url).resolve(`${name}/package.json`);
    return String(JSON.parse(readFileSync(file, 'utf8')).version);
  } catch {
    return 'not installed';
  }
}
