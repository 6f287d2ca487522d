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
import package::shared::conv_product::BIAS;
import package::shared::conv_product::bias;
enable subgroups;

override LANES: u32 = 8u;

@group(0) @binding(7) var<storage, read_write> out4: array<vec4<f32>>; // out, in multiply4

// Four vec4s of a lane, in all lanes.
fn broadcast(quads: mat4x4<f32>, lane: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    subgroupShuffle(quads[0], lane),
    subgroupShuffle(quads[1], lane),
    subgroupShuffle(quads[2], lane),
    subgroupShuffle(quads[3], lane),
  );
}

// The tile of this lane: 4 rows from `row`, blocks of 4 pixels from `first_pixel`; tile[p / 4][p % 4][r]. Four steps of K
// go into each element at once: lavapipe's loops are masked, so that each change of a variable costs a blend beside the
// load and the store of an accumulator, and here there is one for four multiply-adds.
fn product(g: u32, row: u32, first_pixel: u32, lane: u32) -> array<mat4x4<f32>, 8> {
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
  var c0 = mat4x4<f32>();
  var c1 = mat4x4<f32>();
  var c2 = mat4x4<f32>();
  var c3 = mat4x4<f32>();
  var c4 = mat4x4<f32>();
  var c5 = mat4x4<f32>();
  var c6 = mat4x4<f32>();
  var c7 = mat4x4<f32>();
  var k = 0u;
  for (var run = 0u; run < params.runs; run++) {
    let begin = run_offset(run);
    for (var at = begin; at < begin + params.run_quads; at++) {
      let left = transpose(mat4x4<f32>(weight4[w0 + k], weight4[w1 + k], weight4[w2 + k], weight4[w3 + k]));
      let right = mat4x4<f32>(source4[s0 + at], source4[s1 + at], source4[s2 + at], source4[s3 + at]);
      c0 += left * broadcast(right, 0u);
      c1 += left * broadcast(right, 1u);
      c2 += left * broadcast(right, 2u);
      c3 += left * broadcast(right, 3u);
      if (LANES > 4u) {
        c4 += left * broadcast(right, 4u);
        c5 += left * broadcast(right, 5u);
        c6 += left * broadcast(right, 6u);
        c7 += left * broadcast(right, 7u);
      }
      k++;
    }
  }
  return array<mat4x4<f32>, 8>(c0, c1, c2, c3, c4, c5, c6, c7);
}

@compute @workgroup_size(LANES)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = group_and_tile(group, groups).x;
  let row = (group.y * LANES + lane) * 4u;
  let first_pixel = group_and_tile(group, groups).y * LANES * 4u;
  var tile = product(g, row, first_pixel, lane);
  var targets = array<vec3<u32>, 4>(
    row_target(g, row), row_target(g, row + 1u), row_target(g, row + 2u), row_target(g, row + 3u),
  );
  let pixels = min(4u * LANES, pixel_count() - min(first_pixel, pixel_count()));
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
  let first_pixel = group_and_tile(group, groups).y * LANES * 4u;
  var tile = product(g, row, first_pixel, lane);
  let plane = params.out_h * params.out_w;
  let channel = g * params.group_channels + row;
  let pixels = min(4u * LANES, pixel_count() - min(first_pixel, pixel_count()));
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

@compute @workgroup_size(LANES)
fn weight_gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let g = group.z % params.groups;
  let part = group.z / params.groups;
  let row_quad = group.y * LANES + lane;
  let first_column = group.x * LANES;
  let columns = params.runs * params.run_quads;
  let d_lane = g * params.dy_group_quads + min(row_quad, params.dy_group_quads - 1u);
  let s_lane = g * params.group_quads + quad_offset(min(first_column + lane, columns - 1u));
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
  for (var line = begin; line < end; line++) {
    let image = line / params.grid_h;
    let j = line % params.grid_h;
    let h = image * params.dy_h + j;
    var d = h * params.dy_w * params.dy_quads + d_lane;
    var s = window_start(image, j, 0u) + s_lane;
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
  }
  var tile = array<mat4x4<f32>, 8>(c0, c1, c2, c3, c4, c5, c6, c7);
  for (var e = 0u; e < 4u * LANES; e++) {
    let row = 4u * row_quad + e % 4u;
    let quad = first_column + e / 4u;
    if (row < params.rows && quad < columns) {
      parts4[part_index(part, g, row, quad)] = tile[e / 4u][e % 4u];
    }
  }
}
