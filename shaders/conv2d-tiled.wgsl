// Convolution as an implicit matrix product for GPUs: tiles of 64 rows x 64 columns, staged through workgroup memory in
// slices of 16 along K; each of 256 threads accumulates a 4 x 4 block in registers.
//
// multiply         out = weight * windows of the packed images (+ bias): forward, and the input gradient. A slice is 4 vec4s of
//                  64 windows; neighbouring threads load neighbouring vec4s.
// weight_gradient  parts[p] = sum over the pixels of part p of dY (pixel, row) * window (pixel, column). A slice is 16 pixels.
// Layout           see shared/conv_product.wgsl and conv2d-pack.wgsl.
// Grid             16 x 16 threads, 8.5 KiB of workgroup memory. multiply: x: tiles of 64 pixels, y: tiles of 64 rows, z: groups (times
//                  column_folds). weight_gradient: x: tiles of 16 quads of the window, y: tiles of 64 rows, z: part * groups + group.
// Host             rows, pixels > 0; with runs = 0, out is the bias or 0.
// Edges            the staged slices are 0 beyond K; rows and columns beyond the end repeat the last ones and are not stored.
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
import package::shared::conv_product::quad_offset;
import package::shared::conv_product::row_target;
import package::shared::conv_product::store;
import package::shared::conv_product::part_index;

const PAD = 68u; // a row of 64 plus 4: neighbouring K rows fall into different banks
var<workgroup> left: array<f32, 1088>; // [16][PAD]: K, rows
var<workgroup> right: array<f32, 1088>; // [16][PAD]: K, columns

fn stage_left(k: u32, row: u32, value: f32) { left[k * PAD + row] = value; }
fn stage_right(k: u32, column: u32, value: f32) { right[k * PAD + column] = value; }

// Adds the staged slice to a thread's block of 4 rows x 4 columns, one vec4 per row.
fn accumulate(block4: mat4x4<f32>, local: vec3<u32>) -> mat4x4<f32> {
  var acc = block4;
  for (var k = 0u; k < 16u; k++) {
    let l = k * PAD + local.y * 4u;
    let r = k * PAD + local.x * 4u;
    let column = vec4<f32>(right[r], right[r + 1u], right[r + 2u], right[r + 3u]);
    acc[0] += left[l] * column;
    acc[1] += left[l + 1u] * column;
    acc[2] += left[l + 2u] * column;
    acc[3] += left[l + 3u] * column;
  }
  return acc;
}

@compute @workgroup_size(16, 16)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = group_and_tile(group, groups).x;
  let row0 = group.y * 64u;
  let pixel0 = group_and_tile(group, groups).y * 64u;
  let k_quads = params.runs * params.run_quads;
  // Each thread stages one vec4 along K of one row and of one window.
  let at = thread / 4u;
  let lane = thread % 4u;
  let w = (g * params.rows + min(row0 + at, params.rows - 1u)) * k_quads;
  let s = pixel_start(pixel0 + at) + g * params.group_quads;
  var acc = mat4x4<f32>();
  for (var k0 = 0u; k0 < k_quads; k0 += 4u) {
    var a = vec4<f32>(0.0);
    var b = vec4<f32>(0.0);
    let quad = k0 + lane;
    if (quad < k_quads) {
      a = weight4[w + quad];
      b = source4[s + quad_offset(quad)];
    }
    for (var e = 0u; e < 4u; e++) {
      stage_left(4u * lane + e, at, a[e]);
      stage_right(4u * lane + e, at, b[e]);
    }
    workgroupBarrier();
    acc = accumulate(acc, local);
    workgroupBarrier();
  }
  let row = row0 + local.y * 4u;
  let first_pixel = pixel0 + local.x * 4u;
  // Constant bounds: compilers unroll these loops, and acc stays in registers.
  for (var p = 0u; p < 4u; p++) {
    let pixel = pixel_target(first_pixel + p);
    for (var r = 0u; r < 4u; r++) {
      if (first_pixel + p < pixel_count() && row + r < params.rows) {
        store(acc[r][p], row_target(g, row + r), pixel);
      }
    }
  }
}

@compute @workgroup_size(16, 16)
fn weight_gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = group.z % params.groups;
  let part = group.z / params.groups;
  let columns = params.runs * params.run_quads;
  // Each thread stages four rows and four columns of one pixel.
  let at = thread / 16u;
  let lane = thread % 16u;
  let d_lane = g * params.dy_group_quads + min(group.y * 16u + lane, params.dy_group_quads - 1u);
  let s_lane = g * params.group_quads + quad_offset(min(group.x * 16u + lane, columns - 1u));
  let begin = part * params.lines_per_part * params.grid_w;
  let end = min(begin + params.lines_per_part * params.grid_w, pixel_count());
  var acc = mat4x4<f32>();
  for (var pixel0 = begin; pixel0 < end; pixel0 += 16u) {
    var a = vec4<f32>(0.0);
    var b = vec4<f32>(0.0);
    let pixel = pixel0 + at;
    if (pixel < end) {
      let line = pixel / params.grid_w;
      let image = line / params.grid_h;
      let j = line % params.grid_h;
      let i = pixel % params.grid_w;
      let h = image * params.dy_h + j;
      a = dy4[(h * params.dy_w + i) * params.dy_quads + d_lane];
      b = source4[window_start(image, j, i) + s_lane];
    }
    for (var e = 0u; e < 4u; e++) {
      stage_left(at, 4u * lane + e, a[e]);
      stage_right(at, 4u * lane + e, b[e]);
    }
    workgroupBarrier();
    acc = accumulate(acc, local);
    workgroupBarrier();
  }
  let quad = group.x * 16u + local.x;
  let row = group.y * 64u + local.y * 4u;
  for (var r = 0u; r < 4u; r++) {
    if (row + r < params.rows && quad < columns) {
      parts4[part_index(part, g, row + r, quad)] = acc[r];
    }
  }
}
