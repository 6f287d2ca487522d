/**
 * Convolutions with 3 x 3 windows by Winograd's algorithm (shaders/winograd.wgsl), outside the tape: a quarter of the
 * multiplications. Tiles of pixels become 36 numbers for each channel, these are multiplied as 36 matrix products, and become pixels again.
 */
import imagesCode from '../../shaders/winograd.wgsl';
import weightsCode from '../../shaders/winograd-weights.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { convShape, possible } from '../gpu/tuning.ts';
import { threadPlan } from '../tensor/grid.ts';
import { bindSpan, cut, type Part } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { packImages, quadsOf } from './conv2d-packing.ts';
import { type ConvSizes, map2, type Pair } from './conv2d-sizes.ts';
import { type Matrix, multiplyInto, type Product } from './matmul-kernels.ts';

const IMAGES = defineKernel('winograd', imagesCode);
const WEIGHTS = defineKernel('winograd-weights', weightsCode);

/** Places in a tile: 6 x 6. */
const PLACES = 36;
/** Pixels of a side of a tile. */
const SIDE = 4;
/**
 * All places of a part of the batch take about so many bytes, which caches hold (8, 16 and 32 MiB took 45, 52 and 52 ms for 128 channels), but
 * a part has so many tiles at least, because the products read all weights for each part (59 ms with half as many, 49 with these).
 */
const PART_BYTES = 2 ** 23;
const PART_TILES = 128;
/**
 * What is saved grows with inputs times outputs, what tiles cost with their sum, and what weights cost is spread over the tiles: below
 * 64 channels each, or 32 tiles, the windows themselves are as fast (conv2d.md of the ladders).
 */
const LEAST_CHANNELS = 32; // their harmonic mean, halved
const LEAST_TILES = 32;

const WINDOW = { kernel: 3, stride: 1, dilation: 1 } as const;

type Windows = Pick<ConvSizes, 'batch' | 'inputs' | 'outputs' | 'outSize' | 'padding'>;

/** The numbers of each place, [tiles, channels], and how far apart they begin. */
interface Places extends Required<Pick<Matrix, 'tensor' | 'batch'>> {
  readonly tiles: number;
  readonly channels: number;
}

function tilesAlong({ outSize }: Windows): Pair {
  return map2((d) => Math.ceil(outSize[d] / SIDE));
}

function tilesOf(windows: Windows, images: number): number {
  const [down, right] = tilesAlong(windows);
  return images * down * right;
}

/** Floats of a page of memory, and how far into one a place reaches: 13 lines of a cache, of which 64 are a page. */
const PAGE = 1024;
const INTO_PAGE = 208;

/** Not a whole number of pages, or all 36 places would share a few sets of the caches. */
function placeSize(tiles: number, channels: number): number {
  return PAGE * Math.ceil(Math.max(0, tiles * channels - INTO_PAGE) / PAGE) + INTO_PAGE;
}

/** Of the images of a part. */
function bytesOf(windows: Windows, images: number): number {
  return 4 * PLACES * tilesOf(windows, images) * Math.max(windows.inputs, windows.outputs);
}

/** For `bytesOf`: less what comes between the places, and half of a binding for where a part of a tensor may begin in it. */
function room(device: Device): number {
  return Math.min(device.texelBytes, device.bindingBytes / 2) - 4 * PLACES * PAGE;
}

/** Parts of the batch, as equal as can be. */
function partsOf(device: Device, windows: Windows): Part[] {
  const bytes = bytesOf(windows, 1);
  const wanted = Math.max(PART_BYTES / bytes, Math.ceil(PART_TILES / tilesOf(windows, 1)));
  const most = Math.max(1, Math.floor(Math.min(wanted, room(device) / bytes)));
  const parts = Math.ceil(windows.batch / most);
  return cut(windows.batch, Math.ceil(windows.batch / parts));
}

function emptyPlaces(device: Device, tiles: number, channels: number): Places {
  const batch = placeSize(tiles, channels);
  const tensor = Tensor.empty(device, [PLACES, batch], 'f32', 'tiles of a convolution');
  return { tensor, batch, tiles, channels };
}

/** The convolution that gives dX: of dY with the weights turned round. */
function ofInputGradient({ batch, inputs, outputs, size, padding }: ConvSizes): Windows {
  return {
    batch,
    inputs: outputs,
    outputs: inputs,
    outSize: size,
    padding: map2((d) => 2 - padding[d]),
  };
}

/** Should this convolution of float32 run so on this device? */
export function suitsWinograd(
  device: Device,
  sizes: ConvSizes,
  what: 'forward' | 'input gradient' | 'weight gradient',
): boolean {
  const windows = what === 'input gradient' ? ofInputGradient(sizes) : sizes;
  const { batch, inputs, outputs } = windows;
  const plan = possible(device.tuning.conv[convShape(outputs)], device.subgroupSize);
  return (
    plan.kernel === 'texels' &&
    sizes.groups === 1 &&
    (['kernel', 'stride', 'dilation'] as const).every((name) =>
      sizes[name].every((n) => n === WINDOW[name]),
    ) &&
    inputs % 4 === 0 &&
    outputs % 4 === 0 &&
    inputs * outputs >= LEAST_CHANNELS * (inputs + outputs) &&
    tilesOf(windows, batch) >= (what === 'weight gradient' ? 1 : LEAST_TILES) &&
    bytesOf(windows, 1) <= room(device) &&
    4 * PLACES * inputs * outputs <= Math.min(device.texelBytes, device.bindingBytes)
  );
}

function params(windows: Windows, { batch, tiles, channels }: Places) {
  const [tiles_down, tiles_right] = tilesAlong(windows);
  return {
    tiles,
    quads: quadsOf(channels),
    place: batch / 4,
    tiles_down,
    tiles_right,
  };
}

const NO_SOURCE = { height: 0, width: 0 };
const NO_OUTPUT = { out_h: 0, out_w: 0, out_start: 0 };

/** The images `part`, as the 36 numbers of each tile; `before`: zeros above and to the left. */
function imagePlaces(
  entry: 'window_tiles' | 'gradient_tiles',
  images: Tensor,
  part: Part,
  windows: Windows,
  before: Pair,
): Places {
  const { device } = images;
  const along = tilesAlong(windows);
  const reach = entry === 'window_tiles' ? 2 : 0;
  const size = map2((d) => SIDE * along[d] + reach);
  const { tensor: source } = packImages(images, part, 1, { before, size });
  const places = emptyPlaces(device, tilesOf(windows, part.count), images.shape[1]!);
  device.run(IMAGES, entry, {
    buffers: { tiles4: places.tensor.buffer },
    texels: { source_texels: source.buffer },
    params: { ...params(windows, places), ...NO_OUTPUT, height: size[0], width: size[1] },
    ...threadPlan(device, (places.tiles * places.channels) / 4),
  });
  source.dispose();
  return places;
}

/** [36, outputs, inputs], or turned [36, inputs, outputs], of a weight [outputs, inputs, 3, 3]. */
function weightPlaces(weight: Tensor, turned: boolean): Tensor {
  const { device } = weight;
  const [outputs, inputs] = weight.shape as [number, number, number, number];
  const [rows, columns] = turned ? [inputs, outputs] : [outputs, inputs];
  const tiles = Tensor.empty(device, [PLACES, rows, columns], 'f32', 'weights of a convolution');
  const plan = threadPlan(device, rows * columns);
  device.run(WEIGHTS, 'weight_tiles', {
    buffers: { weight: weight.buffer, tiles: tiles.buffer },
    params: { rows, columns },
    overrides: { ...plan.overrides, TURNED: turned },
    groups: plan.groups,
  });
  return tiles;
}

/** The product at each place. */
function multiplyPlaces(
  a: Places,
  b: Tensor | Places,
  out: Tensor | Places,
  product: Omit<Product, 'batch'>,
): void {
  multiplyInto(a, b, null, out, { batch: PLACES, ...product }, { kernel: 'texels' });
}

function correlate(
  x: Tensor,
  weights: Tensor,
  bias: Tensor | null,
  out: Tensor,
  windows: Windows,
): void {
  const { device } = x;
  const { inputs, outputs, outSize } = windows;
  const [out_h, out_w] = outSize;
  for (const part of partsOf(device, windows)) {
    const source = imagePlaces('window_tiles', x, part, windows, windows.padding);
    const products = emptyPlaces(device, source.tiles, outputs);
    multiplyPlaces(source, weights, products, {
      m: source.tiles,
      n: outputs,
      k: inputs,
      transposeA: false,
      transposeB: true,
    });
    source.tensor.dispose();
    const image = outputs * out_h * out_w;
    const { binding, start } = bindSpan(out, part.start * image, part.count * image);
    const plan = threadPlan(device, (products.tiles * outputs) / 4);
    const quads = out_w % 4 === 0;
    device.run(IMAGES, quads ? 'pixels4' : 'pixels', {
      buffers: {
        bias: (bias ?? products.tensor).buffer,
        [quads ? 'out4' : 'out']: binding,
      },
      texels: { tile_texels: products.tensor.buffer },
      params: { ...params(windows, products), ...NO_SOURCE, out_h, out_w, out_start: start },
      overrides: { ...plan.overrides, BIAS: bias !== null },
      groups: plan.groups,
    });
    products.tensor.dispose();
  }
}

/** As `convolve`, where `suitsWinograd`. */
export function winogradForward(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  out: Tensor,
  sizes: ConvSizes,
): void {
  const weights = weightPlaces(weight, false);
  correlate(x, weights, bias, out, sizes);
  weights.dispose();
}

/** As `convolveInputGradient`, where `suitsWinograd`. */
export function winogradInputGradient(
  dy: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  dx: Tensor,
  sizes: ConvSizes,
): void {
  const weights = weightPlaces(weight, true);
  correlate(dy, weights, bias, dx, ofInputGradient(sizes));
  weights.dispose();
}

/** As `convolveWeightGradient`, where `suitsWinograd`. */
export function winogradWeightGradient(x: Tensor, dy: Tensor, dw: Tensor, sizes: ConvSizes): void {
  const { device } = x;
  const { inputs, outputs, padding } = sizes;
  const sums = Tensor.empty(device, [PLACES, outputs, inputs], 'f32', 'gradient at each place');
  for (const part of partsOf(device, sizes)) {
    const source = imagePlaces('window_tiles', x, part, sizes, padding);
    const gradient = imagePlaces('gradient_tiles', dy, part, sizes, [0, 0]);
    multiplyPlaces(gradient, source, sums, {
      m: outputs,
      n: inputs,
      k: source.tiles,
      transposeA: true,
      transposeB: false,
      accumulate: part.start > 0,
    });
    source.tensor.dispose();
    gradient.tensor.dispose();
  }
  device.run(WEIGHTS, 'weight_gradient', {
    buffers: { products: sums.buffer, dw: dw.buffer },
    params: { rows: outputs, columns: inputs },
    ...threadPlan(device, outputs * inputs),
  });
  sums.dispose();
}
