// Convolution as an implicit matrix product where the product has few rows, and on CPU rasterisers without subgroups:
// each thread owns 8 rows and 4 columns. The address of the rows' operand is the same for all threads of a
// workgroup, so that it is loaded once.
//
// multiply         out = weight * windows of the packed images (+ bias): forward, and the input gradient.
// weight_gradient  parts[p] = sum over the pixels of part p of dY (pixel, row) * window (pixel, column).
// Layout           see shared/conv_product.wgsl and conv2d-pack.wgsl.
// Grid             multiply: x: tiles of 4 * WORKGROUP pixels, y: tiles of 8 rows, z: groups (times column_folds). weight_gradient:
//                  x: tiles of WORKGROUP quads of the window, y: tiles of 8 rows, z: part * groups + group.
// Host             rows, pixels > 0; with runs = 0, out is the bias or 0.
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
@if(half) enable f16;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = group_and_tile(group, groups).x;
  let row = group.y * 8u;
  let first_pixel = (group_and_tile(group, groups).y * WORKGROUP + thread) * 4u;
  let k_quads = params.runs * params.run_quads;
  let w = g * params.rows * k_quads;
  let shift = g * params.group_quads;
  let s = vec4<u32>(
    pixel_start(first_pixel) + shift,
    pixel_start(first_pixel + 1u) + shift,
    pixel_start(first_pixel + 2u) + shift,
    pixel_start(first_pixel + 3u) + shift,
  );
  var acc = array<vec4<f32>, 8>();
  var k = 0u;
  for (var run = 0u; run < params.runs; run++) {
    let begin = run_offset(run);
    for (var at = begin; at < begin + params.run_quads; at++) {
      let right = mat4x4<f32>(
        vec4<f32>(source4[s.x + at]),
        vec4<f32>(source4[s.y + at]),
        vec4<f32>(source4[s.z + at]),
        vec4<f32>(source4[s.w + at]),
      );
      for (var r = 0u; r < 8u; r++) {
        acc[r] += vec4<f32>(weight4[w + min(row + r, params.rows - 1u) * k_quads + k]) * right;
      }
      k++;
    }
  }
  // Constant bounds: compilers unroll these loops, and acc stays in registers.
  for (var p = 0u; p < 4u; p++) {
    let pixel = pixel_target(first_pixel + p);
    for (var r = 0u; r < 8u; r++) {
      if (first_pixel + p < pixel_count() && row + r < params.rows) {
        store(acc[r][p], row_target(g, row + r), pixel);
      }
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn weight_gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = group.z % params.groups;
  let part = group.z / params.groups;
  let row = group.y * 8u;
  let column = group.x * WORKGROUP + thread;
  let columns = params.runs * params.run_quads;
  let d_row = g * params.dy_group_quads + row / 4u;
  let second = min(1u, params.dy_group_quads - 1u - row / 4u); // rows 4 to 7, or anything where there are none
  let s_thread = g * params.group_quads + quad_offset(min(column, columns - 1u));
  let s_step = params.stride_w * params.source_quads;
  let begin = part * params.lines_per_part;
  let end = min(begin + params.lines_per_part, params.images * params.grid_h);
  var acc = array<vec4<f32>, 8>();
  for (var line = begin; line < end; line++) {
    let image = line / params.grid_h;
    let j = line % params.grid_h;
    let h = image * params.dy_h + j;
    var d = h * params.dy_w * params.dy_quads + d_row;
    var s = window_start(image, j, 0u) + s_thread;
    for (var i = 0u; i < params.grid_w; i++) {
      let left0 = vec4<f32>(dy4[d]);
      let left1 = vec4<f32>(dy4[d + second]);
      let right = vec4<f32>(source4[s]);
      for (var r = 0u; r < 4u; r++) {
        acc[r] += left0[r] * right;
        acc[r + 4u] += left1[r] * right;
      }
      d += params.dy_quads;
      s += s_step;
    }
  }
  if (column >= columns) { return; }
  for (var r = 0u; r < 8u; r++) {
    if (row + r < params.rows) { parts4[part_index(part, g, row + r, column)] = acc[r]; }
  }
}
