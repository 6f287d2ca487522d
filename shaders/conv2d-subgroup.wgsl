// Convolution as an implicit matrix product for CPU rasterisers (lavapipe, SwiftShader): a workgroup is one subgroup,
// without workgroup memory or barrier; see matmul-subgroup.wgsl for why.
//
// multiply         out = weight * windows of the packed images (+ bias): forward, and the input gradient. Each lane owns 4
//                  rows (channels) and loads the windows of 4 pixels, which it hands to all lanes (a shuffle by a constant).
// multiply4        the same where the pixels are those of `out`, in whole vec4s: these are stored.
// weight_gradient  parts[p] = sum over the pixels of part p of dY (pixel, row) * window (pixel, column); the parts are
//                  added by conv2d-weights.wgsl, in order.
// Layout           see shared/conv_product.wgsl and conv2d-pack.wgsl.
// Grid             workgroup = LANES = subgroup size. multiply: x: tiles of 4 * LANES pixels, y: tiles of 4 * LANES rows, z: groups
//                  (times column_folds). weight_gradient: x: tiles of LANES quads of the window, y: tiles of LANES quads of
//                  rows, z: part * groups + group.
// Host             LANES is the device's one subgroup size, 4 or 8; rows, pixels > 0; with runs = 0, out is the bias or 0.
//                  multiply4: out_h * out_w a multiple of 4, no phases, pixel (j, i) goes to (j, i).
// texels           (`?texels`) What is read comes as textures, as in matmul-subgroup.wgsl; a tile has twice as many columns (pixels, quads
//                  of the window), and weight_gradient takes four pixels of a line at once. LANES = 8.
// Determinism      K is walked in order; one writer per element.
import package::shared::conv_product::params;
import package::shared::conv_product::weight4;
import package::shared::conv_product::source4;
import package::shared::conv_product::dy4;
import package::shared::conv_product::parts4;
import package::shared::conv_product::group_and_tile;
import package::shared::conv_product::pixel_count;
import package::shared::conv_product::pixel_start;
import package::shared::conv_product::pixel_target;
import package::shared::conv_product::window_start;
import package::shared::conv_product::run_offset;
import package::shared::conv_product::quad_offset;
import package::shared::conv_product::row_target;
import package::shared::conv_product::store;
import package::shared::conv_product::part_index;
import package::shared::outer_product::outer;
import package::shared::subgroup_block::broadcast_block;
import package::shared::texels::texel;
import package::shared::conv_product::BIAS;
import package::shared::conv_product::bias;
enable subgroups;

override LANES: u32 = 8u;

@group(0) @binding(7) var<storage, read_write> out4: array<vec4<f32>>; // out, in multiply4

@if(texels) @group(0) @binding(1) var weight_texels: texture_storage_2d<rgba32float, read>;
@if(texels) @group(0) @binding(2) var source_texels: texture_storage_2d<rgba32float, read>;
@if(texels) @group(0) @binding(5) var dy_texels: texture_storage_2d<rgba32float, read>;

@if(texels) alias Tile = array<mat4x4<f32>, 16>;
@else alias Tile = array<mat4x4<f32>, 8>;
// Times LANES: the vec4s of a tile along its columns.
@if(texels) const PARTS = 2u;
@else const PARTS = 1u;

fn weights(at: u32) -> vec4<f32> {
  @if(texels) return textureLoad(weight_texels, texel(at));
  @else return weight4[at];
}

fn source(at: u32) -> vec4<f32> {
  @if(texels) return textureLoad(source_texels, texel(at));
  @else return source4[at];
}

// The tile of this lane: 4 rows from `row`, blocks of 4 pixels from `first_pixel`; tile[p / 4][p % 4][r]. Four steps of K
// go into each element at once: lavapipe's loops are masked, so that each change of a variable costs a blend beside the
// load and the store of an accumulator, and here there is one for four multiply-adds.
fn product(g: u32, row: u32, first_pixel: u32, lane: u32) -> Tile {
  let k_quads = params.runs * params.run_quads;
  let last = params.rows - 1u;
  let w = g * params.rows * k_quads;
  let w0 = w + min(row, last) * k_quads;
  let w1 = w + min(row + 1u, last) * k_quads;
  let w2 = w + min(row + 2u, last) * k_quads;
  let w3 = w + min(row + 3u, last) * k_quads;
  let s = first_pixel + 4u * lane;
  let s0 = pixel_start(s) + g * params.group_quads;
  let s1 = pixel_start(s + 1u) + g * params.group_quads;
  let s2 = pixel_start(s + 2u) + g * params.group_quads;
  let s3 = pixel_start(s + 3u) + g * params.group_quads;
  @if(texels) let s4 = pixel_start(s + 4u * LANES) + g * params.group_quads;
  @if(texels) let s5 = pixel_start(s + 4u * LANES + 1u) + g * params.group_quads;
  @if(texels) let s6 = pixel_start(s + 4u * LANES + 2u) + g * params.group_quads;
  @if(texels) let s7 = pixel_start(s + 4u * LANES + 3u) + g * params.group_quads;
  var c0 = mat4x4<f32>();
  var c1 = mat4x4<f32>();
  var c2 = mat4x4<f32>();
  var c3 = mat4x4<f32>();
  var c4 = mat4x4<f32>();
  var c5 = mat4x4<f32>();
  var c6 = mat4x4<f32>();
  var c7 = mat4x4<f32>();
  @if(texels) var d0 = mat4x4<f32>();
  @if(texels) var d1 = mat4x4<f32>();
  @if(texels) var d2 = mat4x4<f32>();
  @if(texels) var d3 = mat4x4<f32>();
  @if(texels) var d4 = mat4x4<f32>();
  @if(texels) var d5 = mat4x4<f32>();
  @if(texels) var d6 = mat4x4<f32>();
  @if(texels) var d7 = mat4x4<f32>();
  var k = 0u;
  for (var run = 0u; run < params.runs; run++) {
    let begin = run_offset(run);
    for (var at = begin; at < begin + params.run_quads; at++) {
      let left = transpose(mat4x4<f32>(weights(w0 + k), weights(w1 + k), weights(w2 + k), weights(w3 + k)));
      let right = mat4x4<f32>(source(s0 + at), source(s1 + at), source(s2 + at), source(s3 + at));
      c0 += left * broadcast_block(right, 0u);
      c1 += left * broadcast_block(right, 1u);
      c2 += left * broadcast_block(right, 2u);
      c3 += left * broadcast_block(right, 3u);
      if (LANES > 4u) {
        c4 += left * broadcast_block(right, 4u);
        c5 += left * broadcast_block(right, 5u);
        c6 += left * broadcast_block(right, 6u);
        c7 += left * broadcast_block(right, 7u);
      }
      @if(texels) let more = mat4x4<f32>(source(s4 + at), source(s5 + at), source(s6 + at), source(s7 + at));
      @if(texels) d0 += left * broadcast_block(more, 0u);
      @if(texels) d1 += left * broadcast_block(more, 1u);
      @if(texels) d2 += left * broadcast_block(more, 2u);
      @if(texels) d3 += left * broadcast_block(more, 3u);
      @if(texels) d4 += left * broadcast_block(more, 4u);
      @if(texels) d5 += left * broadcast_block(more, 5u);
      @if(texels) d6 += left * broadcast_block(more, 6u);
      @if(texels) d7 += left * broadcast_block(more, 7u);
      k++;
    }
  }
  @if(texels) return Tile(c0, c1, c2, c3, c4, c5, c6, c7, d0, d1, d2, d3, d4, d5, d6, d7);
  @else return Tile(c0, c1, c2, c3, c4, c5, c6, c7);
}

@compute @workgroup_size(LANES)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = group_and_tile(group, groups).x;
  let row = (group.y * LANES + lane) * 4u;
  let first_pixel = group_and_tile(group, groups).y * PARTS * LANES * 4u;
  var tile = product(g, row, first_pixel, lane);
  var targets = array<vec3<u32>, 4>(
    row_target(g, row), row_target(g, row + 1u), row_target(g, row + 2u), row_target(g, row + 3u),
  );
  let pixels = min(PARTS * 4u * LANES, pixel_count() - min(first_pixel, pixel_count()));
  for (var p = 0u; p < pixels; p++) {
    let pixel = pixel_target(first_pixel + p);
    for (var r = 0u; r < 4u; r++) {
      if (row + r < params.rows) { store(tile[p / 4u][p % 4u][r], targets[r], pixel); }
    }
  }
}

// The same where the pixels are those of `out`, in their order, and those of a channel are whole vec4s.
@compute @workgroup_size(LANES)
fn multiply4(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = group_and_tile(group, groups).x;
  let row = (group.y * LANES + lane) * 4u;
  let first_pixel = group_and_tile(group, groups).y * PARTS * LANES * 4u;
  var tile = product(g, row, first_pixel, lane);
  let plane = params.out_h * params.out_w;
  let channel = g * params.group_channels + row;
  let pixels = min(PARTS * 4u * LANES, pixel_count() - min(first_pixel, pixel_count()));
  for (var e = 0u; e < pixels; e++) {
    let r = e % 4u;
    if (row + r < params.rows) {
      let pixel = first_pixel + e - r;
      let image = pixel / plane;
      let line = image * params.out_channels + channel + r;
      let four = tile[e / 4u];
      var value = vec4<f32>(four[0][r], four[1][r], four[2][r], four[3][r]);
      if (BIAS) { value += bias[channel + r]; }
      out4[(params.out_start + line * plane + pixel - image * plane) / 4u] = value;
    }
  }
}

// Pixel i of a line of dY that begins at d; beyond the end 0.
@if(texels)
fn gradient(d: u32, i: u32) -> vec4<f32> {
  let at = d + min(i, params.grid_w - 1u) * params.dy_quads;
  return select(vec4<f32>(), textureLoad(dy_texels, texel(at)), i < params.grid_w);
}

// A vec4 of the windows of four pixels from i, `step` apart; beyond the end of the line those of the last.
@if(texels)
fn windows(s: u32, i: u32, step: u32) -> mat4x4<f32> {
  let last = params.grid_w - 1u;
  return mat4x4<f32>(
    source(s + min(i, last) * step),
    source(s + min(i + 1u, last) * step),
    source(s + min(i + 2u, last) * step),
    source(s + min(i + 3u, last) * step),
  );
}

@compute @workgroup_size(LANES)
fn weight_gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = group.z % params.groups;
  let part = group.z / params.groups;
  let row_quad = group.y * LANES + lane;
  let first_column = group.x * PARTS * LANES;
  let columns = params.runs * params.run_quads;
  let d_lane = g * params.dy_group_quads + min(row_quad, params.dy_group_quads - 1u);
  let s_lane = g * params.group_quads + quad_offset(min(first_column + lane, columns - 1u));
  @if(texels) let m_lane = g * params.group_quads + quad_offset(min(first_column + LANES + lane, columns - 1u));
  let s_step = params.stride_w * params.source_quads;
  let begin = part * params.lines_per_part;
  let end = min(begin + params.lines_per_part, params.images * params.grid_h);
  var c0 = mat4x4<f32>();
  var c1 = mat4x4<f32>();
  var c2 = mat4x4<f32>();
  var c3 = mat4x4<f32>();
  var c4 = mat4x4<f32>();
  var c5 = mat4x4<f32>();
  var c6 = mat4x4<f32>();
  var c7 = mat4x4<f32>();
  @if(texels) var d0 = mat4x4<f32>();
  @if(texels) var d1 = mat4x4<f32>();
  @if(texels) var d2 = mat4x4<f32>();
  @if(texels) var d3 = mat4x4<f32>();
  @if(texels) var d4 = mat4x4<f32>();
  @if(texels) var d5 = mat4x4<f32>();
  @if(texels) var d6 = mat4x4<f32>();
  @if(texels) var d7 = mat4x4<f32>();
  for (var line = begin; line < end; line++) {
    let image = line / params.grid_h;
    let j = line % params.grid_h;
    let h = image * params.dy_h + j;
    var d = h * params.dy_w * params.dy_quads + d_lane;
    var s = window_start(image, j, 0u) + s_lane;
    @if(!texels)
    for (var i = 0u; i < params.grid_w; i++) {
      let left = dy4[d];
      let right = source4[s];
      c0 = outer(c0, left, subgroupBroadcast(right, 0u));
      c1 = outer(c1, left, subgroupBroadcast(right, 1u));
      c2 = outer(c2, left, subgroupBroadcast(right, 2u));
      c3 = outer(c3, left, subgroupBroadcast(right, 3u));
      if (LANES > 4u) {
        c4 = outer(c4, left, subgroupBroadcast(right, 4u));
        c5 = outer(c5, left, subgroupBroadcast(right, 5u));
        c6 = outer(c6, left, subgroupBroadcast(right, 6u));
        c7 = outer(c7, left, subgroupBroadcast(right, 7u));
      }
      d += params.dy_quads;
      s += s_step;
    }
    @if(texels)
    for (var i = 0u; i < params.grid_w; i += 4u) {
      let left = transpose(mat4x4<f32>(gradient(d, i), gradient(d, i + 1u), gradient(d, i + 2u), gradient(d, i + 3u)));
      let right = windows(s, i, s_step);
      c0 += broadcast_block(right, 0u) * left;
      c1 += broadcast_block(right, 1u) * left;
      c2 += broadcast_block(right, 2u) * left;
      c3 += broadcast_block(right, 3u) * left;
      c4 += broadcast_block(right, 4u) * left;
      c5 += broadcast_block(right, 5u) * left;
      c6 += broadcast_block(right, 6u) * left;
      c7 += broadcast_block(right, 7u) * left;
      let more = windows(s + m_lane - s_lane, i, s_step);
      d0 += broadcast_block(more, 0u) * left;
      d1 += broadcast_block(more, 1u) * left;
      d2 += broadcast_block(more, 2u) * left;
      d3 += broadcast_block(more, 3u) * left;
      d4 += broadcast_block(more, 4u) * left;
      d5 += broadcast_block(more, 5u) * left;
      d6 += broadcast_block(more, 6u) * left;
      d7 += broadcast_block(more, 7u) * left;
    }
  }
  @if(texels) var tile = Tile(c0, c1, c2, c3, c4, c5, c6, c7, d0, d1, d2, d3, d4, d5, d6, d7);
  @else var tile = Tile(c0, c1, c2, c3, c4, c5, c6, c7);
  for (var e = 0u; e < PARTS * 4u * LANES; e++) {
    let row = 4u * row_quad + e % 4u;
    let quad = first_column + e / 4u;
    if (row < params.rows && quad < columns) {
      parts4[part_index(part, g, row, quad)] = tile[e / 4u][e % 4u];
    }
  }
}
