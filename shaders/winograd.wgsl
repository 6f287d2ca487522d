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
// Why              36 reads as calls; the loop behind them assigns nothing (matmul-subgroup.wgsl), and a bound that only looks as if it
//                  varied keeps it from being written out: the first dispatch compiles this.
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

fn by_row_of_b(i: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, e: vec4<f32>, f: vec4<f32>) -> vec4<f32> {
  let r = 6u * i;
  return B[r] * a + B[r + 1u] * b + B[r + 2u] * c + B[r + 3u] * d + B[r + 4u] * e + B[r + 5u] * f;
}

fn by_row_of_a(i: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, e: vec4<f32>, f: vec4<f32>) -> vec4<f32> {
  let r = 6u * i;
  return A[r] * a + A[r + 1u] * b + A[r + 2u] * c + A[r + 3u] * d + A[r + 4u] * e + A[r + 5u] * f;
}

fn by_column_of_a(i: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
  return A[i] * a + A[6u + i] * b + A[12u + i] * c + A[18u + i] * d;
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

struct Task { quad: u32, image: u32, y: u32, x: u32 } // y, x: the first pixel

fn task_of(index: u32) -> Task {
  let tile = index / params.quads;
  let per_image = params.tiles_down * params.tiles_right;
  let within = tile % per_image;
  let y = 4u * (within / params.tiles_right);
  let x = 4u * (within % params.tiles_right);
  return Task(index % params.quads, tile / per_image, y, x);
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
    let to = index + 6u * i * params.place;
    tiles4[to] = by_row_of_b(i, l0.a, l1.a, l2.a, l3.a, l4.a, l5.a);
    tiles4[to + params.place] = by_row_of_b(i, l0.b, l1.b, l2.b, l3.b, l4.b, l5.b);
    tiles4[to + 2u * params.place] = by_row_of_b(i, l0.c, l1.c, l2.c, l3.c, l4.c, l5.c);
    tiles4[to + 3u * params.place] = by_row_of_b(i, l0.d, l1.d, l2.d, l3.d, l4.d, l5.d);
    tiles4[to + 4u * params.place] = by_row_of_b(i, l0.e, l1.e, l2.e, l3.e, l4.e, l5.e);
    tiles4[to + 5u * params.place] = by_row_of_b(i, l0.f, l1.f, l2.f, l3.f, l4.f, l5.f);
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
  for (var i = 0u; i < min(6u, params.width + 2u); i++) {
    let to = index + 6u * i * params.place;
    tiles4[to] = by_column_of_a(i, l0.a, l1.a, l2.a, l3.a);
    tiles4[to + params.place] = by_column_of_a(i, l0.b, l1.b, l2.b, l3.b);
    tiles4[to + 2u * params.place] = by_column_of_a(i, l0.c, l1.c, l2.c, l3.c);
    tiles4[to + 3u * params.place] = by_column_of_a(i, l0.d, l1.d, l2.d, l3.d);
    tiles4[to + 4u * params.place] = by_column_of_a(i, l0.e, l1.e, l2.e, l3.e);
    tiles4[to + 5u * params.place] = by_column_of_a(i, l0.f, l1.f, l2.f, l3.f);
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

// The products of a tile, its lines by A'.
struct Lines { a: Four, b: Four, c: Four, d: Four, e: Four, f: Four }

fn product_lines(index: u32) -> Lines {
  let p = params.place;
  return Lines(
    product_line(index),
    product_line(index + 6u * p),
    product_line(index + 12u * p),
    product_line(index + 18u * p),
    product_line(index + 24u * p),
    product_line(index + 30u * p),
  );
}

fn bias_of(channel: u32) -> vec4<f32> {
  if (!BIAS) { return vec4<f32>(); }
  return vec4<f32>(bias[channel], bias[channel + 1u], bias[channel + 2u], bias[channel + 3u]);
}

// Line i of the pixels of a tile: four side by side, a vec4 for each of four channels.
fn pixel_line(i: u32, l: Lines, added: vec4<f32>) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(
    by_row_of_a(i, l.a.a, l.b.a, l.c.a, l.d.a, l.e.a, l.f.a) + added,
    by_row_of_a(i, l.a.b, l.b.b, l.c.b, l.d.b, l.e.b, l.f.b) + added,
    by_row_of_a(i, l.a.c, l.b.c, l.c.c, l.d.c, l.e.c, l.f.c) + added,
    by_row_of_a(i, l.a.d, l.b.d, l.c.d, l.d.d, l.e.d, l.f.d) + added,
  ));
}

// Where the first pixel of a tile, in the first of its channels, stands in `out`.
fn out_at(task: Task) -> u32 {
  let channel = (task.image * params.quads + task.quad) * 4u;
  return params.out_start + (channel * params.out_h + task.y) * params.out_w + task.x;
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
  let products = product_lines(index);
  let added = bias_of(4u * task.quad);
  let plane = params.out_h * params.out_w;
  let count = params.out_w - task.x;
  for (var i = 0u; i < min(4u, params.out_h - task.y); i++) {
    let line = pixel_line(i, products, added);
    let to = out_at(task) + i * params.out_w;
    store_line(line[0], to, count);
    store_line(line[1], to + plane, count);
    store_line(line[2], to + 2u * plane, count);
    store_line(line[3], to + 3u * plane, count);
  }
}

@compute @workgroup_size(WORKGROUP)
fn pixels4(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.tiles * params.quads) { return; }
  let task = task_of(index);
  let products = product_lines(index);
  let added = bias_of(4u * task.quad);
  let plane = params.out_h * params.out_w / 4u;
  for (var i = 0u; i < min(4u, params.out_h - task.y); i++) {
    let line = pixel_line(i, products, added);
    let to = (out_at(task) + i * params.out_w) / 4u;
    out4[to] = line[0];
    out4[to + plane] = line[1];
    out4[to + 2u * plane] = line[2];
    out4[to + 3u * plane] = line[3];
  }
}
