// Bytes of RGB pixels to normalised planes: out[n, c, y, x] = gain[c] * byte + shift[c].
//
// Layout       bytes: [N, H, W, 3], packed four to a word, in groups of 4 pixels = 3 words (the last one padded).
//              out: [N, 3, H, W]; channel c is that of the pixels, or 2 - c with bgr.
// Grid         QUADS groups of 4 pixels per thread.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override QUADS: u32 = 1u;

struct Params {
  gain: vec3<f32>,
  shift: vec3<f32>,
  plane: u32, // H * W
  pixels: u32, // N * H * W
  bgr: u32,
}

@group(0) @binding(0) var<storage, read> bytes: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn store(pixel: u32, rgb: vec3<u32>) {
  if (pixel >= params.pixels) {
    return;
  }
  let image = pixel / params.plane;
  let first = pixel + 2u * image * params.plane;
  let value = params.gain * vec3<f32>(select(rgb, rgb.zyx, params.bgr != 0u)) + params.shift;
  out[first] = value.x;
  out[first + params.plane] = value.y;
  out[first + 2u * params.plane] = value.z;
}

@compute @workgroup_size(WORKGROUP)
fn image_to_tensor(at: Invocation) {
  let first = group_index(at) * WORKGROUP * QUADS + at.thread;
  for (var j = 0u; j < QUADS; j++) {
    let quad = first + j * WORKGROUP;
    if (4u * quad >= params.pixels) {
      return;
    }
    let a = bytes[3u * quad];
    let b = bytes[3u * quad + 1u];
    let c = bytes[3u * quad + 2u];
    let last = vec3<u32>(255u);
    store(4u * quad, vec3<u32>(a, a >> 8u, a >> 16u) & last);
    store(4u * quad + 1u, vec3<u32>(a >> 24u, b, b >> 8u) & last);
    store(4u * quad + 2u, vec3<u32>(b >> 16u, b >> 24u, c) & last);
    store(4u * quad + 3u, vec3<u32>(c >> 8u, c >> 16u, c >> 24u) & last);
  }
}
