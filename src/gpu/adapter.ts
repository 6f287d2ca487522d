/**
 * Picks the WebGPU adapter to compute on, and says why.
 *
 * Order: the one asked for; a hardware GPU; a system software driver (lavapipe); the embedded
 * software driver (SwiftShader) that can come with the npm install. Nothing here touches a GPU
 * before `chooseAdapter` is called, so the library can be imported anywhere.
 */
import { ADVICE, adapterSetting, platform, requestFrom, routes } from '#platform';
import { HistogradError } from '../errors.ts';

export const ADAPTER_REQUESTS = ['auto', 'hardware', 'lavapipe', 'swiftshader'] as const;

/** What a user may ask for; `auto` takes the fastest kind found. */
export type AdapterRequest = (typeof ADAPTER_REQUESTS)[number];

/** `cpu` is a software rasteriser: the same kernels want other tilings there than on a GPU. */
export type AdapterClass = 'gpu' | 'cpu';

/**
 * Where a driver is looked for:
 * `system` as installed; `loader` system drivers through the Vulkan loader of the embedded package
 * (a GPU machine without libvulkan); `embedded` the software driver of the embedded package.
 */
export type Route = 'system' | 'loader' | 'embedded';

/** An adapter, not yet turned into a device, and how it was found. Plain data but for `adapter`. */
export interface ChosenAdapter {
  adapter: GPUAdapter;
  request: AdapterRequest;
  class: AdapterClass;
  kind: 'hardware' | 'system-software' | 'embedded-software';
  /** For people: 'llvmpipe: Mesa 25.0.7 (LLVM 15.0.6)', 'SwiftShader driver 5.0.0', 'NVIDIA H200'. */
  name: string;
  /** One sentence: why this one. */
  why: string;
  /** Every step taken, the successful one last. */
  tried: { what: string; result: string }[];
}

/** What an adapter turned out to be; a `null` one validates but never computes. */
interface AdapterNature {
  class: AdapterClass | 'null';
  name: string;
}

interface Step {
  route: Route;
  what: string;
  accepts: (nature: AdapterNature) => boolean;
}

const anything = () => true;
const isGpu = (nature: AdapterNature) => nature.class === 'gpu';
const isLavapipe = (nature: AdapterNature) => /llvmpipe|lavapipe/i.test(nature.name);
const isSwiftShader = (nature: AdapterNature) => /swiftshader/i.test(nature.name);

const PLANS: Record<AdapterRequest, readonly Step[]> = {
  auto: [
    { route: 'system', what: 'drivers on this system', accepts: anything },
    { route: 'loader', what: 'system drivers through the bundled loader', accepts: anything },
    { route: 'embedded', what: 'embedded SwiftShader', accepts: anything },
  ],
  hardware: [
    { route: 'system', what: 'GPU drivers on this system', accepts: isGpu },
    { route: 'loader', what: 'GPU drivers through the bundled loader', accepts: isGpu },
  ],
  lavapipe: [
    { route: 'system', what: 'lavapipe on this system', accepts: isLavapipe },
    { route: 'loader', what: 'lavapipe through the bundled loader', accepts: isLavapipe },
  ],
  swiftshader: [
    { route: 'embedded', what: 'embedded SwiftShader', accepts: isSwiftShader },
    { route: 'system', what: 'SwiftShader on this system', accepts: isSwiftShader },
  ],
};

/**
 * Finds a WebGPU adapter.
 *
 * @param request what to use; without it the environment variable `HISTOGRAD_ADAPTER` (Node only),
 *   else `auto`.
 * @returns a fresh adapter (an adapter makes one device) and the reasons for it.
 * @throws HistogradError `bad-adapter-request` for an unknown name; `no-adapter` when nothing fits,
 *   with all that was tried and how to get one.
 */
export async function chooseAdapter(request?: AdapterRequest): Promise<ChosenAdapter> {
  const search = await searchAdapter(request);
  if (search.chosen) return search.chosen;
  const list = search.tried.map(({ what, result }) => `\n  - ${what}: ${result}`).join('');
  const where = platform === 'node' ? 'process' : 'browser';
  throw new HistogradError(
    'no-adapter',
    `No WebGPU adapter for '${search.request}' in this ${where}. Tried:${list}`,
    ADVICE[search.request],
  );
}

/** A search and its outcome; `chosen` is missing when nothing fits. */
interface AdapterSearch {
  request: AdapterRequest;
  chosen?: ChosenAdapter;
  tried: ChosenAdapter['tried'];
}

/** As `chooseAdapter`, for callers that want to report an empty search rather than stop. */
export async function searchAdapter(asked?: AdapterRequest): Promise<AdapterSearch> {
  const request = checkedRequest(asked);
  const tried: ChosenAdapter['tried'] = [];
  for (const step of PLANS[request].filter(({ route }) => routes.includes(route))) {
    const { adapter, problem } = await attempt(step.route, request);
    const nature = adapter && inspectAdapter(adapter.info);
    if (!adapter || !nature) {
      tried.push({ what: step.what, result: problem ?? 'no adapter' });
    } else if (nature.class === 'null') {
      tried.push({ what: step.what, result: 'refused: a null backend, which computes nothing' });
    } else if (!step.accepts(nature)) {
      tried.push({ what: step.what, result: `not what was asked for: ${nature.name}` });
    } else {
      tried.push({ what: step.what, result: `found ${nature.name}` });
      const kind = kindOf(step.route, nature.class);
      const why = reason(request, asked !== undefined, kind);
      const { name } = nature;
      return {
        request,
        tried,
        chosen: { adapter, request, class: nature.class, kind, name, why, tried },
      };
    }
  }
  return { request, tried };
}

/** Tells a GPU, a software rasteriser and a null backend apart by what the adapter says of itself. */
export function inspectAdapter(info: GPUAdapterInfo): AdapterNature {
  const said = [info.vendor, info.architecture, info.device, info.description].join(' ');
  const name = adapterName(info);
  if (/null[ -]backend/i.test(said)) return { class: 'null', name };
  const software = /swiftshader|llvmpipe|lavapipe|basic render|\bsoftware\b|\bwarp\b/i.test(said);
  return { class: info.isFallbackAdapter || software ? 'cpu' : 'gpu', name };
}

/** Drivers write the device in kebab-case ('nvidia-h200'); browsers may leave all but vendor out. */
function adapterName(info: GPUAdapterInfo): string {
  if (/llvmpipe|swiftshader/i.test(info.description)) return info.description;
  if (/swiftshader/i.test(info.architecture)) return 'SwiftShader';
  const device = info.device
    .replaceAll('-', ' ')
    .trim()
    .replace(/^(nvidia|amd)\b/i, (word) => word.toUpperCase())
    .replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
  const maker = [info.vendor, info.architecture].filter(Boolean).join(' ');
  const title = device || maker || 'unnamed GPU';
  return info.description ? `${title} (${info.description})` : title;
}

function kindOf(route: Route, cls: AdapterClass): ChosenAdapter['kind'] {
  if (cls === 'gpu') return 'hardware';
  // A browser brings its own software driver; Node's system one was installed on the machine.
  return route === 'embedded' || platform === 'browser' ? 'embedded-software' : 'system-software';
}

function reason(wanted: AdapterRequest, byCall: boolean, kind: ChosenAdapter['kind']): string {
  if (wanted !== 'auto') {
    return byCall ? `'${wanted}' was asked for` : `HISTOGRAD_ADAPTER=${wanted} asks for it`;
  }
  if (kind === 'hardware') return 'a hardware GPU was found, the fastest choice';
  if (kind === 'system-software') return 'no hardware GPU, but a software driver on this system';
  return platform === 'node'
    ? 'neither a GPU nor a usable system driver, so the embedded software driver'
    : 'no hardware GPU, so the software driver that comes with the browser';
}

function checkedRequest(request?: AdapterRequest): AdapterRequest {
  const text = request ?? adapterSetting() ?? 'auto';
  const known = ADAPTER_REQUESTS.find((name) => name === text);
  if (known) return known;
  throw new HistogradError(
    'bad-adapter-request',
    `Unknown adapter '${text}'${request === undefined ? ' in HISTOGRAD_ADAPTER' : ''}.`,
    `Use one of ${ADAPTER_REQUESTS.join(', ')}.`,
  );
}

async function attempt(
  route: Route,
  request: AdapterRequest,
): Promise<{ adapter?: GPUAdapter; problem?: string }> {
  try {
    const adapter = await requestFrom(route, request);
    return adapter ? { adapter } : { problem: 'no adapter' };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { problem: problem.replaceAll(/\s+/g, ' ').trim() };
  }
}
