// Convolution as an implicit matrix product on the matrix unit of a GPU: float16 images and weights, float32 sums and
// results. A tile of the product, 2 x 2 subgroups of ROWS x COLUMNS result matrices, is staged through workgroup memory in
// slices of 32 along K.
//
// multiply         out = weight * windows of the packed images (+ bias): forward, and the input gradient. Rows of a tile are output
//                  channels, columns are pixels. The host sets RIGHT_BY_COLUMN.
// weight_gradient  parts[p] = sum over the pixels of part p of dY (pixel, row) * window (pixel, column). Steps of K are pixels. The
//                  host sets LEFT_BY_K.
// Layout           see shared/conv_product.wgsl, linked with `half`, and conv2d-pack.wgsl.
// Grid             THREADS threads. multiply: x: tiles of pixels, y: tiles of rows, z: groups (times column_folds).
//                  weight_gradient: x: tiles of columns of the window, y: tiles of rows, z: part * groups + group.
// Host             rows, pixels > 0; with runs = 0, out is the bias or 0. See shared/matrix_unit.wgsl.
// Memory           besides the slices, where the window of each pixel begins: 4 bytes per column of the tile, and 8 per step.
// Edges            the staged slices are 0 beyond K, the rows and the columns; nothing beyond the end is stored.
// Determinism      K slice by slice, in the unit's own order within; one writer per element.
import package::shared::matrix_unit::M;
import package::shared::matrix_unit::N;
import package::shared::matrix_unit::GROUPS;
import package::shared::matrix_unit::THREADS;
import package::shared::matrix_unit::Component;
import package::shared::matrix_unit::floats;
import package::shared::matrix_unit::put4;
import package::shared::matrix_unit::store_result;
@if(emulated) import package::shared::matrix_unit::emulated_subgroup;
import package::shared::matrix_tile::SLICE;
import package::shared::matrix_tile::PAD;
import package::shared::matrix_tile::MOST_COLUMNS;
import package::shared::matrix_tile::ROWS;
import package::shared::matrix_tile::COLUMNS;
import package::shared::matrix_tile::Results;
import package::shared::matrix_tile::tile_rows;
import package::shared::matrix_tile::tile_columns;
import package::shared::matrix_tile::right_at;
import package::shared::matrix_tile::add_slice;
import package::shared::matrix_tile::place_in_tile;
import package::shared::conv_product::params;
import package::shared::conv_product::weight4;
import package::shared::conv_product::source4;
import package::shared::conv_product::dy4;
import package::shared::conv_product::parts4;
import package::shared::conv_product::group_and_tile;
import package::shared::conv_product::pixel_count;
import package::shared::conv_product::pixel_start;
import package::shared::conv_product::pixel_target;
import package::shared::conv_product::step_at;
import package::shared::conv_product::quad_offset;
import package::shared::conv_product::row_target;
import package::shared::conv_product::store;
import package::shared::conv_product::part_index;

override PIXELS: u32 = 2u * COLUMNS * N;

var<workgroup> windows: array<u32, PIXELS>; // multiply: of each pixel of the tile
var<workgroup> steps: array<vec2<u32>, SLICE>; // weight_gradient: dY and the window of each pixel of the slice

@compute @workgroup_size(THREADS)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
  @if(!emulated) @builtin(subgroup_id) subgroup: u32,
) {
  @if(emulated) let subgroup = emulated_subgroup(thread);
  let g = group_and_tile(group, groups).x;
  let row0 = group.y * tile_rows();
  let pixel0 = group_and_tile(group, groups).y * tile_columns();
  let k_quads = params.runs * params.run_quads;
  for (var i = thread; i < tile_columns(); i += THREADS) {
    windows[i] = pixel_start(pixel0 + i) + g * params.group_quads;
  }
  workgroupBarrier();
  var results: Results;
  let along = SLICE / 4u;
  for (var k = 0u; k < k_quads; k += along) {
    for (var i = thread; i < (tile_rows() + tile_columns()) * along; i += THREADS) {
      let quad = k + i % along;
      let line = i / along;
      var values = vec4<Component>();
      if (line >= tile_rows()) {
        // Pixels beyond the end repeat the last one: their columns are not stored.
        if (quad < k_quads) {
          values = vec4<Component>(source4[windows[line - tile_rows()] + quad_offset(quad)]);
        }
      } else if (quad < k_quads && row0 + line < params.rows) {
        values = vec4<Component>(weight4[(g * params.rows + row0 + line) * k_quads + quad]);
      }
      // The columns lie behind the rows, in lines of the same length.
      put4(line * (SLICE + PAD) + 4u * (i % along), values);
    }
    workgroupBarrier();
    if (subgroup < GROUPS) { add_slice(&results, subgroup); }
    workgroupBarrier();
  }
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < COLUMNS; j++) {
      if (subgroup < GROUPS) { store_result(subgroup * M * N, N, results[i * MOST_COLUMNS + j]); }
      workgroupBarrier();
      for (var e = thread; e < GROUPS * M * N; e += THREADS) {
        let place = place_in_tile(e, i, j);
        let row = row0 + place.x;
        let number = pixel0 + place.y;
        if (row < params.rows && number < pixel_count()) {
          store(floats[e], row_target(g, row), pixel_target(number));
        }
      }
      workgroupBarrier();
    }
  }
}

@compute @workgroup_size(THREADS)
fn weight_gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
  @if(!emulated) @builtin(subgroup_id) subgroup: u32,
) {
  @if(emulated) let subgroup = emulated_subgroup(thread);
  let g = group.z % params.groups;
  let part = group.z / params.groups;
  let columns = params.runs * params.run_quads;
  let row_quad0 = group.y * tile_rows() / 4u;
  let quad0 = group.x * tile_columns() / 4u;
  let begin = part * params.lines_per_part * params.grid_w;
  let end = min(begin + params.lines_per_part * params.grid_w, pixel_count());
  var results: Results;
  for (var pixel = begin; pixel < end; pixel += SLICE) {
    for (var i = thread; i < SLICE; i += THREADS) { steps[i] = step_at(min(pixel + i, end - 1u)); }
    workgroupBarrier();
    let lanes = tile_rows() / 4u;
    for (var i = thread; i < SLICE * lanes; i += THREADS) {
      let step = i / lanes;
      let quad = row_quad0 + i % lanes;
      var values = vec4<Component>();
      if (pixel + step < end && quad < params.dy_group_quads) {
        values = vec4<Component>(dy4[steps[step].x + g * params.dy_group_quads + quad]);
      }
      put4(step * (tile_rows() + PAD) + 4u * (i % lanes), values);
    }
    let across = tile_columns() / 4u;
    for (var i = thread; i < SLICE * across; i += THREADS) {
      let step = i / across;
      let quad = quad0 + i % across;
      var values = vec4<Component>();
      if (pixel + step < end && quad < columns) {
        values = vec4<Component>(source4[steps[step].y + g * params.group_quads + quad_offset(quad)]);
      }
      put4(right_at() + step * (tile_columns() + PAD) + 4u * (i % across), values);
    }
    workgroupBarrier();
    if (subgroup < GROUPS) { add_slice(&results, subgroup); }
    workgroupBarrier();
  }
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < COLUMNS; j++) {
      if (subgroup < GROUPS) { store_result(subgroup * M * N, N, results[i * MOST_COLUMNS + j]); }
      workgroupBarrier();
      for (var e = 4u * thread; e < GROUPS * M * N; e += 4u * THREADS) {
        let place = place_in_tile(e, i, j);
        let row = 4u * row_quad0 + place.x;
        let quad = quad0 + place.y / 4u;
        if (row < params.rows && quad < columns) {
          let sums = vec4<f32>(floats[e], floats[e + 1u], floats[e + 2u], floats[e + 3u]);
          parts4[part_index(part, g, row, quad)] = sums;
        }
      }
      workgroupBarrier();
    }
  }
}
