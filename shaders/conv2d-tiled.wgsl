// Convolution as an implicit matrix product for GPUs: tiles of the product (shared/register_tile.wgsl), staged through workgroup
// memory in slices along K.
//
// multiply         out = weight * windows of the packed images (+ bias): forward, and the input gradient. Rows of a tile are output
//                  channels, columns are pixels; neighbouring threads load neighbouring vec4s along K.
// weight_gradient  parts[p] = sum over the pixels of part p of dY (pixel, row) * window (pixel, column). Steps of K are pixels.
// Layout           see shared/conv_product.wgsl and conv2d-pack.wgsl.
// Grid             THREADS threads. multiply: x: tiles of pixels, y: tiles of rows, z: groups (times column_folds).
//                  weight_gradient: x: tiles of quads of the window, y: tiles of rows, z: part * groups + group.
// Host             rows, pixels > 0; with runs = 0, out is the bias or 0.
// Memory           besides the slices, where the window of each pixel begins: 4 bytes per column of the tile, or 8 per step.
// Edges            the staged slices are 0 beyond K; rows and columns beyond the end repeat the last ones and are not stored.
// Determinism      K is walked in order; one writer per element.
import package::shared::register_tile::Tile;
import package::shared::register_tile::THREADS;
import package::shared::register_tile::THREADS_X;
import package::shared::register_tile::THREADS_Y;
import package::shared::register_tile::BLOCKS_X;
import package::shared::register_tile::BLOCKS_Y;
import package::shared::register_tile::SLICE;
import package::shared::register_tile::LEFT_QUADS;
import package::shared::register_tile::RIGHT_QUADS;
import package::shared::register_tile::thread_place;
import package::shared::register_tile::stage_left;
import package::shared::register_tile::stage_right;
import package::shared::register_tile::add_slice;
import package::shared::register_tile::first_steps;
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
@if(half) enable f16;

override COLUMNS: u32 = 4u * RIGHT_QUADS;

var<workgroup> windows: array<u32, COLUMNS>; // multiply: of each pixel of the tile
var<workgroup> steps: array<vec2<u32>, SLICE>; // weight_gradient: dY and the window of each pixel of the slice

fn weights(at: u32) -> vec4<f32> { return vec4<f32>(weight4[at]); }
fn source(at: u32) -> vec4<f32> { return vec4<f32>(source4[at]); }
fn gradient(at: u32) -> vec4<f32> { return vec4<f32>(dy4[at]); }

// Rows r .. r + 3 of the weights of group g, at vec4 `quad` along K; one vec4 per step.
fn block_weights(g: u32, r: u32, quad: u32, k_quads: u32) -> mat4x4<f32> {
  let base = g * params.rows;
  let last = params.rows - 1u;
  return transpose(mat4x4<f32>(
    weights((base + min(r, last)) * k_quads + quad),
    weights((base + min(r + 1u, last)) * k_quads + quad),
    weights((base + min(r + 2u, last)) * k_quads + quad),
    weights((base + min(r + 3u, last)) * k_quads + quad),
  ));
}

// The windows of four pixels of the tile from `column`, at `offset` from their beginnings; one vec4 per step.
fn block_windows(column: u32, offset: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(
    source(windows[column] + offset),
    source(windows[column + 1u] + offset),
    source(windows[column + 2u] + offset),
    source(windows[column + 3u] + offset),
  ));
}

@compute @workgroup_size(THREADS)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = group_and_tile(group, groups).x;
  let row0 = group.y * 4u * LEFT_QUADS;
  let pixel0 = group_and_tile(group, groups).y * COLUMNS;
  let k_quads = params.runs * params.run_quads;
  for (var i = thread; i < COLUMNS; i += THREADS) {
    windows[i] = pixel_start(pixel0 + i) + g * params.group_quads;
  }
  workgroupBarrier();
  var tile = Tile();
  let along = SLICE / 4u;
  for (var k = 0u; k < k_quads; k += along) {
    // Blocks of 4 x 4, those of the weights first.
    for (var i = thread; i < (LEFT_QUADS + RIGHT_QUADS) * along; i += THREADS) {
      let step = i % along;
      let line = i / along;
      let inside = k + step < k_quads;
      var block4 = mat4x4<f32>();
      if (line < LEFT_QUADS) {
        if (inside) { block4 = block_weights(g, row0 + 4u * line, k + step, k_quads); }
        stage_left(4u * step, line, block4);
      } else {
        let quad = line - LEFT_QUADS;
        if (inside) { block4 = block_windows(4u * quad, quad_offset(k + step)); }
        stage_right(4u * step, quad, block4);
      }
    }
    workgroupBarrier();
    tile = add_slice(tile, thread_place(thread));
    workgroupBarrier();
  }
  let at = thread_place(thread);
  // Through an array and small loops: 64 stores written out would take longer to compile than all the rest.
  var blocks = array<mat4x4<f32>, 4>(tile.c00, tile.c01, tile.c10, tile.c11);
  let rows = min(4u * BLOCKS_Y, params.rows);
  for (var j = 0u; j < 4u * BLOCKS_X; j++) {
    let number = pixel0 + 4u * (at.x + (j / 4u) * THREADS_X) + j % 4u;
    let pixel = pixel_target(number);
    for (var i = 0u; i < rows; i++) {
      let row = row0 + 4u * (at.y + (i / 4u) * THREADS_Y) + i % 4u;
      if (number < pixel_count() && row < params.rows) {
        store(blocks[2u * (i / 4u) + j / 4u][i % 4u][j % 4u], row_target(g, row), pixel);
      }
    }
  }
}

@compute @workgroup_size(THREADS)
fn weight_gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = group.z % params.groups;
  let part = group.z / params.groups;
  let columns = params.runs * params.run_quads;
  let row0 = group.y * LEFT_QUADS;
  let quad0 = group.x * RIGHT_QUADS;
  let begin = part * params.lines_per_part * params.grid_w;
  let end = min(begin + params.lines_per_part * params.grid_w, pixel_count());
  for (var i = thread; i < SLICE; i += THREADS) { steps[i] = step_at(min(begin + i, end - 1u)); }
  workgroupBarrier();
  var tile = Tile();
  for (var pixel = begin; pixel < end; pixel += SLICE) {
    // Blocks of 4 steps x one quad, those of dY first.
    let lines = LEFT_QUADS + RIGHT_QUADS;
    for (var i = thread; i < lines * (SLICE / 4u); i += THREADS) {
      let line = i % lines;
      let step = 4u * (i / lines);
      var block4 = mat4x4<f32>();
      if (line < LEFT_QUADS) {
        if (pixel + step < end) {
          let lane = g * params.dy_group_quads + min(row0 + line, params.dy_group_quads - 1u);
          block4 = first_steps(mat4x4<f32>(
            gradient(steps[step].x + lane),
            gradient(steps[step + 1u].x + lane),
            gradient(steps[step + 2u].x + lane),
            gradient(steps[step + 3u].x + lane),
          ), end - pixel - step);
        }
        stage_left(step, line, block4);
      } else {
        let quad = line - LEFT_QUADS;
        if (pixel + step < end) {
          let lane = g * params.group_quads + quad_offset(min(quad0 + quad, columns - 1u));
          block4 = first_steps(mat4x4<f32>(
            source(steps[step].y + lane),
            source(steps[step + 1u].y + lane),
            source(steps[step + 2u].y + lane),
            source(steps[step + 3u].y + lane),
          ), end - pixel - step);
        }
        stage_right(step, quad, block4);
      }
    }
    workgroupBarrier();
    tile = add_slice(tile, thread_place(thread));
    // Nobody reads the old ones any more; the barrier below is before the next use.
    for (var i = thread; i < SLICE; i += THREADS) { steps[i] = step_at(min(pixel + SLICE + i, end - 1u)); }
    workgroupBarrier();
  }
  let at = thread_place(thread);
  var blocks = array<mat4x4<f32>, 4>(tile.c00, tile.c01, tile.c10, tile.c11);
  let rows = min(4u * BLOCKS_Y, params.rows);
  for (var b = 0u; b < BLOCKS_X; b++) {
    let quad = quad0 + at.x + b * THREADS_X;
    for (var i = 0u; i < rows; i++) {
      let row = 4u * (row0 + at.y + (i / 4u) * THREADS_Y) + i % 4u;
      if (row < params.rows && quad < columns) {
        parts4[part_index(part, g, row, quad)] = blocks[2u * (i / 4u) + b][i % 4u];
      }
    }
  }
}
