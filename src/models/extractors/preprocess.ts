import code from '../../../shaders/image-to-tensor.wgsl';
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { applyAlong, axisMap } from '../../ops/axis-taps.ts';
import { bindPart, rowParts } from '../../tensor/parts.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { antialiasTaps } from './antialias.ts';
import type { Preprocessing } from './extractor.ts';

const kernel = defineKernel('image-to-tensor', code);

/**
 * Images as an extractor expects them, on the GPU: the short side resampled to its size (with antialiasing, as PIL and
 * torchvision do, but without rounding to bytes in between), cut square around the centre, and normalised. Where the
 * extractor does not resize, the images keep their size. No gradient.
 *
 * @param pixels RGB [count, height, width, 3]
 * @param shape [count, height, width]
 * @returns [count, 3, size, size]
 * @throws HistogradError `shape` where the pixels are not as many as the shape says
 */
export function preprocess(
  device: Device,
  pixels: Uint8Array,
  shape: readonly [count: number, height: number, width: number],
  preprocessing: Preprocessing,
): Tensor {
  const [count, height, width] = shape;
  if (pixels.length !== 3 * count * height * width || pixels.length === 0) {
    throw new HistogradError(
      'shape',
      `preprocess: expected the ${3 * count * height * width} bytes of ${count} RGB images of ${width} x ${height} pixels, found ${pixels.length}.`,
      'Give 3 bytes per pixel, without alpha, and at least one image.',
    );
  }
  const planes = normalise(device, pixels, shape, preprocessing);
  const { size, resize } = preprocessing;
  if (resize === 'none' || (height === size && width === size)) return planes;
  const out = Tensor.empty(device, [count, 3, size, size], 'f32', 'preprocessed images');
  const short = Math.min(height, width);
  const steps = [height, width].map((side, i) => {
    const resized = Math.floor((size * side) / short);
    const cut = roundHalfToEven((resized - size) / 2);
    const taps = antialiasTaps(resize, side, resized);
    return { axis: 2 + i, map: axisMap(side, size, (p) => taps(p + cut)) };
  });
  applyAlong(planes, steps, out);
  planes.dispose();
  return out;
}

/** [count, 3, height, width]: (byte · scale − mean) / std. */
function normalise(
  device: Device,
  pixels: Uint8Array,
  [count, height, width]: readonly [number, number, number],
  { mean, std, scale, channels }: Preprocessing,
): Tensor {
  const plane = height * width;
  const out = Tensor.empty(device, [count, 3, height, width], 'f32', 'images');
  const overrides =
    device.class === 'cpu' ? { WORKGROUP: 8, QUADS: 32 } : { WORKGROUP: 128, QUADS: 1 };
  for (const part of rowParts(device, count, [3 * plane])) {
    const images = part.count * plane;
    const bytes = pixels.subarray(3 * part.start * plane, 3 * (part.start * plane + images));
    const words = Tensor.from(device, asWords(bytes));
    device.run(kernel, 'image_to_tensor', {
      buffers: { bytes: words.buffer, out: bindPart(out, part, 3 * plane) },
      params: {
        gain: std.map((deviation) => scale / deviation),
        shift: std.map((deviation, c) => -mean[c]! / deviation),
        plane,
        pixels: images,
        bgr: channels === 'bgr',
      },
      overrides,
      groups: Math.ceil(images / 4 / (overrides.WORKGROUP * overrides.QUADS)),
    });
    words.dispose();
  }
  return out;
}

/** As Python rounds, and with it torchvision where it cuts the centre out. */
function roundHalfToEven(x: number): number {
  return x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
}

/** The bytes as words, three for every four pixels; without a copy where that is possible. */
function asWords(bytes: Uint8Array): Uint32Array {
  if (bytes.length % 12 === 0 && bytes.byteOffset % 4 === 0) {
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }
  const padded = new Uint8Array(12 * Math.ceil(bytes.length / 12));
  padded.set(bytes);
  return new Uint32Array(padded.buffer);
}
