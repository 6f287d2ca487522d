// Convolution with 3 x 3 windows by Winograd's algorithm F(4 x 4, 3 x 3) (Lavin & Gray 2016), for CPU rasterisers: a tile of 4 x 4
// pixels takes 36 multiplications per channel instead of 144. With a tile x of 6 x 6 pixels, and weights w,
//
//   out = A [ sum over the input channels of (G w G') * (B x B') ] A'
//   dw  = G' [ sum over the tiles of (A' dY A) * (B x B') ] G
//
// so that for each of the 36 places in a tile there is a matrix product. Here is what comes before and after these for the pixels; for the
// weights see winograd-weights.wgsl. The points of interpolation are 0, 3/4, -3/4, 3/2, -3/2 and infinity: with the usual 0, 1, -1,
// 2, -2 the rounding error is twice as large.
//
// window_tiles     tiles[i, j, tile, channel] = (B x B')[i, j]: windows of 6 x 6 pixels, 4 apart.
// gradient_tiles   tiles[i, j, tile, channel] = (A' dY A)[i, j]: tiles of 4 x 4 pixels.
// pixels           out[n, channel, 4 y + a, 4 x + b] = (A tiles A')[a, b] (+ bias); pixels4 where W is a multiple of 4.
// Layout           source: [N, height, width, channels] from conv2d-pack.wgsl, its size that of all windows or tiles; tiles: [36, tiles, channels], places
//                  `place` vec4s apart; tiles: image after image, by rows. out: [N, channels, out_h, out_w] from `out_start`.
//                  What is read comes as textures (shared/texels.wgsl). Channels are a multiple of 4.
// Grid             a thread per tile and vec4 of channels, folded by the host.
// Why              36 reads as calls; the loop behind them is not written out, and assigns nothing (matmul-subgroup.wgsl).
// Precision        float32; about twice the error of a sum over the windows. What is not finite spreads over its tile.
// Determinism      one writer per element.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::texels::texel;

override WORKGROUP: u32 = 8u;
override BIAS: bool = false;

struct Params {
  tiles: u32, quads: u32, place: u32,
  tiles_down: u32, tiles_right: u32, // of an image
  height: u32, width: u32, // of what is packed
  out_h: u32, out_w: u32, out_start: u32,
}

@group(0) @binding(0) var source_texels: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read_write> tiles4: array<vec4<f32>>;
@group(0) @binding(2) var tile_texels: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

struct Four { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32> }
struct Six { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, e: vec4<f32>, f: vec4<f32> }

// The matrices by rows, for products from the left;
const B = array<f32, 36>(
  1.265625, 0.0, -2.8125, 0.0, 1.0, 0.0,
  0.0, -1.6875, -2.25, 0.75, 1.0, 0.0,
  0.0, 1.6875, -2.25, -0.75, 1.0, 0.0,
  0.0, -0.84375, -0.5625, 1.5, 1.0, 0.0,
  0.0, 0.84375, -0.5625, -1.5, 1.0, 0.0,
  0.0, 1.265625, 0.0, -2.8125, 0.0, 1.0,
);
const A = array<f32, 24>(
  1.0, 1.0, 1.0, 1.0, 1.0, 0.0,
  0.0, 0.75, -0.75, 1.5, -1.5, 0.0,
  0.0, 0.5625, 0.5625, 2.25, 2.25, 0.0,
  0.0, 0.421875, -0.421875, 3.375, -3.375, 1.0,
);
const A_TURNED = array<f32, 24>(
  1.0, 0.0, 0.0, 0.0,
  1.0, 0.75, 0.5625, 0.421875,
  1.0, -0.75, 0.5625, -0.421875,
  1.0, 1.5, 2.25, 3.375,
  1.0, -1.5, 2.25, -3.375,
  0.0, 0.0, 0.0, 1.0,
);

fn row_of_b(i: u32) -> array<f32, 6> {
  let r = 6u * i;
  return array<f32, 6>(B[r], B[r + 1u], B[r + 2u], B[r + 3u], B[r + 4u], B[r + 5u]);
}

fn row_of_a(i: u32) -> array<f32, 6> {
  let r = 6u * i;
  return array<f32, 6>(A[r], A[r + 1u], A[r + 2u], A[r + 3u], A[r + 4u], A[r + 5u]);
}

// and of a line of a tile with each, from the right, where much is shared: line B',
fn by_b(x: Six) -> Six {
  let near_even = x.e - 2.25 * x.c;
  let near_odd = 0.75 * (x.d - 2.25 * x.b);
  let far_even = x.e - 0.5625 * x.c;
  let far_odd = 1.5 * (x.d - 0.5625 * x.b);
  return Six(
    1.265625 * x.a - 2.8125 * x.c + x.e,
    near_even + near_odd,
    near_even - near_odd,
    far_even + far_odd,
    far_even - far_odd,
    1.265625 * x.b - 2.8125 * x.d + x.f,
  );
}

// line A,
fn by_a(y: Four) -> Six {
  let near_even = y.a + 0.5625 * y.c;
  let near_odd = 0.75 * (y.b + 0.5625 * y.d);
  let far_even = y.a + 2.25 * y.c;
  let far_odd = 1.5 * (y.b + 2.25 * y.d);
  return Six(
    y.a,
    near_even + near_odd,
    near_even - near_odd,
    far_even + far_odd,
    far_even - far_odd,
    y.d,
  );
}

// and line A'.
fn by_a_turned(m: Six) -> Four {
  let near = m.b + m.c;
  let far = m.d + m.e;
  let near_odd = 0.75 * (m.b - m.c);
  let far_odd = 1.5 * (m.d - m.e);
  return Four(
    m.a + near + far,
    near_odd + far_odd,
    0.5625 * near + 2.25 * far,
    0.5625 * near_odd + 2.25 * far_odd + m.f,
  );
}

struct Task { tile: u32, quad: u32, image: u32, y: u32, x: u32 } // y, x: the first pixel

fn task_of(index: u32) -> Task {
  let tile = index / params.quads;
  let per_image = params.tiles_down * params.tiles_right;
  let within = tile % per_image;
  let y = 4u * (within / params.tiles_right);
  let x = 4u * (within % params.tiles_right);
  return Task(tile, index % params.quads, tile / per_image, y, x);
}

fn source_at(task: Task) -> u32 {
  return ((task.image * params.height + task.y) * params.width + task.x) * params.quads + task.quad;
}

fn source(at: u32) -> vec4<f32> {
  return textureLoad(source_texels, texel(at));
}

fn window_line(at: u32) -> Six {
  let q = params.quads;
  return by_b(Six(
    source(at),
    source(at + q),
    source(at + 2u * q),
    source(at + 3u * q),
    source(at + 4u * q),
    source(at + 5u * q),
  ));
}

@compute @workgroup_size(WORKGROUP)
fn window_tiles(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.tiles * params.quads) { return; }
  let first = source_at(task_of(index));
  let down = params.width * params.quads;
  let l0 = window_line(first);
  let l1 = window_line(first + down);
  let l2 = window_line(first + 2u * down);
  let l3 = window_line(first + 3u * down);
  let l4 = window_line(first + 4u * down);
  let l5 = window_line(first + 5u * down);
  for (var i = 0u; i < min(6u, params.width); i++) {
    let w = row_of_b(i);
    let to = index + 6u * i * params.place;
    tiles4[to] = w[0] * l0.a + w[1] * l1.a + w[2] * l2.a + w[3] * l3.a + w[4] * l4.a + w[5] * l5.a;
    tiles4[to + params.place] = w[0] * l0.b + w[1] * l1.b + w[2] * l2.b + w[3] * l3.b + w[4] * l4.b + w[5] * l5.b;
    tiles4[to + 2u * params.place] = w[0] * l0.c + w[1] * l1.c + w[2] * l2.c + w[3] * l3.c + w[4] * l4.c + w[5] * l5.c;
    tiles4[to + 3u * params.place] = w[0] * l0.d + w[1] * l1.d + w[2] * l2.d + w[3] * l3.d + w[4] * l4.d + w[5] * l5.d;
    tiles4[to + 4u * params.place] = w[0] * l0.e + w[1] * l1.e + w[2] * l2.e + w[3] * l3.e + w[4] * l4.e + w[5] * l5.e;
    tiles4[to + 5u * params.place] = w[0] * l0.f + w[1] * l1.f + w[2] * l2.f + w[3] * l3.f + w[4] * l4.f + w[5] * l5.f;
  }
}

fn gradient_line(at: u32) -> Six {
  let q = params.quads;
  return by_a(Four(source(at), source(at + q), source(at + 2u * q), source(at + 3u * q)));
}

@compute @workgroup_size(WORKGROUP)
fn gradient_tiles(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.tiles * params.quads) { return; }
  let first = source_at(task_of(index));
  let down = params.width * params.quads;
  let l0 = gradient_line(first);
  let l1 = gradient_line(first + down);
  let l2 = gradient_line(first + 2u * down);
  let l3 = gradient_line(first + 3u * down);
  for (var i = 0u; i < min(6u, 2u * params.width); i++) {
    let w = vec4<f32>(A_TURNED[4u * i], A_TURNED[4u * i + 1u], A_TURNED[4u * i + 2u], A_TURNED[4u * i + 3u]);
    let to = index + 6u * i * params.place;
    tiles4[to] = w.x * l0.a + w.y * l1.a + w.z * l2.a + w.w * l3.a;
    tiles4[to + params.place] = w.x * l0.b + w.y * l1.b + w.z * l2.b + w.w * l3.b;
    tiles4[to + 2u * params.place] = w.x * l0.c + w.y * l1.c + w.z * l2.c + w.w * l3.c;
    tiles4[to + 3u * params.place] = w.x * l0.d + w.y * l1.d + w.z * l2.d + w.w * l3.d;
    tiles4[to + 4u * params.place] = w.x * l0.e + w.y * l1.e + w.z * l2.e + w.w * l3.e;
    tiles4[to + 5u * params.place] = w.x * l0.f + w.y * l1.f + w.z * l2.f + w.w * l3.f;
  }
}

fn product(at: u32) -> vec4<f32> {
  return textureLoad(tile_texels, texel(at));
}

fn product_line(at: u32) -> Four {
  let p = params.place;
  return by_a_turned(Six(
    product(at),
    product(at + p),
    product(at + 2u * p),
    product(at + 3u * p),
    product(at + 4u * p),
    product(at + 5u * p),
  ));
}

fn bias_of(channel: u32) -> vec4<f32> {
  if (!BIAS) { return vec4<f32>(); }
  return vec4<f32>(bias[channel], bias[channel + 1u], bias[channel + 2u], bias[channel + 3u]);
}

// Four pixels side by side, in four channels, as four lines of pixels.
fn lines_of(w: array<f32, 6>, l0: Four, l1: Four, l2: Four, l3: Four, l4: Four, l5: Four, added: vec4<f32>) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(
    w[0] * l0.a + w[1] * l1.a + w[2] * l2.a + w[3] * l3.a + w[4] * l4.a + w[5] * l5.a + added,
    w[0] * l0.b + w[1] * l1.b + w[2] * l2.b + w[3] * l3.b + w[4] * l4.b + w[5] * l5.b + added,
    w[0] * l0.c + w[1] * l1.c + w[2] * l2.c + w[3] * l3.c + w[4] * l4.c + w[5] * l5.c + added,
    w[0] * l0.d + w[1] * l1.d + w[2] * l2.d + w[3] * l3.d + w[4] * l4.d + w[5] * l5.d + added,
  ));
}

fn store_line(values: vec4<f32>, to: u32, count: u32) {
  if (count > 0u) { out[to] = values.x; }
  if (count > 1u) { out[to + 1u] = values.y; }
  if (count > 2u) { out[to + 2u] = values.z; }
  if (count > 3u) { out[to + 3u] = values.w; }
}

@compute @workgroup_size(WORKGROUP)
fn pixels(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.tiles * params.quads) { return; }
  let task = task_of(index);
  let l0 = product_line(index);
  let l1 = product_line(index + 6u * params.place);
  let l2 = product_line(index + 12u * params.place);
  let l3 = product_line(index + 18u * params.place);
  let l4 = product_line(index + 24u * params.place);
  let l5 = product_line(index + 30u * params.place);
  let channel = 4u * task.quad;
  let added = bias_of(channel);
  let plane = params.out_h * params.out_w;
  let first = params.out_start + (task.image * 4u * params.quads + channel) * plane + task.y * params.out_w + task.x;
  let count = params.out_w - task.x;
  for (var a = 0u; a < min(4u, params.out_h - task.y); a++) {
    let lines = lines_of(row_of_a(a), l0, l1, l2, l3, l4, l5, added);
    let to = first + a * params.out_w;
    store_line(lines[0], to, count);
    store_line(lines[1], to + plane, count);
    store_line(lines[2], to + 2u * plane, count);
    store_line(lines[3], to + 3u * plane, count);
  }
}

@compute @workgroup_size(WORKGROUP)
fn pixels4(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.tiles * params.quads) { return; }
  let task = task_of(index);
  let l0 = product_line(index);
  let l1 = product_line(index + 6u * params.place);
  let l2 = product_line(index + 12u * params.place);
  let l3 = product_line(index + 18u * params.place);
  let l4 = product_line(index + 24u * params.place);
  let l5 = product_line(index + 30u * params.place);
  let channel = 4u * task.quad;
  let added = bias_of(channel);
  let plane = params.out_h * params.out_w;
  let first = params.out_start + (task.image * 4u * params.quads + channel) * plane + task.y * params.out_w + task.x;
  for (var a = 0u; a < min(4u, params.out_h - task.y); a++) {
    let lines = lines_of(row_of_a(a), l0, l1, l2, l3, l4, l5, added);
    let to = first + a * params.out_w;
    out4[to / 4u] = lines[0];
    out4[(to + plane) / 4u] = lines[1];
    out4[(to + 2u * plane) / 4u] = lines[2];
    out4[(to + 3u * plane) / 4u] = lines[3];
  }
}
