// Attention on the matrix unit of a GPU, with float16 operands: scores, slopes and the outputs are products of 64 rows of a
// workgroup and tiles of 32 columns; what is between them (softmax, masks, dropout) is float32, in 4 x 4 blocks as in
// attention-tiled.wgsl.
//
// forward      in two walks over the columns: maxima and sums, then the output. A sum in the unit's registers cannot be scaled
//              row by row, as online softmax would have to; making the scores twice costs less than moving it.
// gradient     as in attention-subgroup.wgsl.
// Layout       see shared/attention_tile.wgsl, linked with `half`.
// CHUNKS       the output's width per workgroup in units of 32; MOST_OUTPUTS bounds it.
// Memory       halves: 64 rows of an operand in slices of 32, or the weights [64][40]; behind, from COLUMNS_AT, the columns: a slice
//              [32][40], or the whole width [32][32 * CHUNKS + 8]. floats: two tiles [64][36]; in the forward pass
//              the second holds what is known of the rows. HALVES = 2560 + 32 * (32 * CHUNKS + 8), FLOATS = 4608.
// Grid         place_of(), blocks of 64 rows. THREADS threads; see shared/matrix_unit.wgsl.
// Edges        rows beyond the end repeat the last one and are not stored; columns beyond it weigh nothing and are 0.
// Precision    weights go through float16: forward relative to the row's maximum; in gradients, where they are
//              probabilities, times a power of two near the number of keys, so that long rows do not vanish.
// Determinism  fixed order; one writer per element.
import package::shared::matrix_unit::M;
import package::shared::matrix_unit::N;
import package::shared::matrix_unit::K;
import package::shared::matrix_unit::GROUPS;
import package::shared::matrix_unit::THREADS;
import package::shared::matrix_unit::Component;
import package::shared::matrix_unit::Result;
import package::shared::matrix_unit::Right;
import package::shared::matrix_unit::halves;
import package::shared::matrix_unit::floats;
import package::shared::matrix_unit::put4;
import package::shared::matrix_unit::load_left;
import package::shared::matrix_unit::load_right;
import package::shared::matrix_unit::load_right_columns;
import package::shared::matrix_unit::multiply_add;
import package::shared::matrix_unit::store_result;
@if(emulated) import package::shared::matrix_unit::emulated_subgroup;
import package::shared::attention_tile::Place;
import package::shared::attention_tile::params;
import package::shared::attention_tile::rows_a;
import package::shared::attention_tile::cols_a;
import package::shared::attention_tile::rows_b;
import package::shared::attention_tile::cols_b;
import package::shared::attention_tile::out;
import package::shared::attention_tile::lse;
import package::shared::attention_tile::HUGE;
import package::shared::attention_tile::place_of;
import package::shared::attention_tile::address;
import package::shared::attention_tile::out_address;
import package::shared::attention_tile::bias_block;
import package::shared::attention_tile::times_kept;
import package::shared::nan_max::nan_max4;
import package::shared::attention_tile::row_maxima;
import package::shared::attention_tile::row_sums;
import package::shared::attention_tile::row_weights;
import package::shared::attention_tile::block_stats;
import package::shared::attention_tile::block_weights;
import package::shared::attention_tile::score_gradient;
import package::shared::attention_tile::store_scores;

override CHUNKS: u32 = 2u;

const ROWS = 64u;
const COLS = 32u;
const SLICE = 32u;
const STRIDE = 40u; // of halves: a slice and 8, so that neighbouring rows fall into different banks
const COLUMNS_AT = 2560u; // ROWS * STRIDE
const FLOAT_STRIDE = 36u;
const SECOND = 2304u; // ROWS * FLOAT_STRIDE
const BLOCKS = 128u; // 4 x 4 blocks of a tile, 8 side by side
const MAXIMA = SECOND; // [8][ROWS]: of each column of blocks
const SUMS = 2816u; // [8][ROWS]
const LEVELS = 3328u; // [ROWS]: the rows' maxima
const FACTORS = 3392u; // [ROWS]: what the rows of the output are multiplied by
const ROWS_EACH = 16u; // of a subgroup

alias Tile = array<Result, 8>; // a subgroup's rows x COLS
alias Outputs = array<Result, 16>; // a subgroup's rows x 32 * CHUNKS

// The product of the rows and a tile of columns, of operands a or b, to `floats` from `target_at`.
fn products(place: Place, col: u32, thread: u32, subgroup: u32, of_b: bool, target_at: u32) {
  let row_at = select(params.rows_a_at, params.rows_b_at, of_b);
  let col_at = select(params.cols_a_at, params.cols_b_at, of_b);
  let width4 = select(params.a4, params.b4, of_b);
  var tile: Tile;
  for (var d0 = 0u; d0 < width4; d0 += SLICE / 4u) {
    workgroupBarrier();
    for (var i = thread; i < (ROWS + COLS) * SLICE / 4u; i += THREADS) {
      let d = d0 + i % (SLICE / 4u);
      let line = i / (SLICE / 4u);
      let own = line < ROWS;
      var value = vec4<Component>();
      if (d < width4 && own) {
        let at = address(row_at, place, min(place.row + line, params.rows - 1u)) + d;
        if (of_b) { value = vec4<Component>(rows_b[at]); } else { value = vec4<Component>(rows_a[at]); }
      } else if (d < width4) {
        let at = address(col_at, place, min(col + line - ROWS, place.end - 1u)) + d;
        if (of_b) { value = vec4<Component>(cols_b[at]); } else { value = vec4<Component>(cols_a[at]); }
      }
      put4(line * STRIDE + 4u * (i % (SLICE / 4u)), value);
    }
    workgroupBarrier();
    if (subgroup < GROUPS) {
      for (var k = 0u; k < SLICE; k += K) {
        var right: array<Right, 4>; // COLS / N
        for (var j = 0u; j < COLS / N; j++) {
          right[j] = load_right_columns(COLUMNS_AT + j * N * STRIDE + k, STRIDE);
        }
        for (var i = 0u; i < ROWS_EACH / M; i++) {
          let left = load_left((subgroup * ROWS_EACH + i * M) * STRIDE + k, STRIDE);
          for (var j = 0u; j < COLS / N; j++) {
            tile[i * (COLS / N) + j] = multiply_add(left, right[j], tile[i * (COLS / N) + j]);
          }
        }
      }
    }
  }
  if (subgroup < GROUPS) {
    for (var i = 0u; i < ROWS_EACH / M; i++) {
      for (var j = 0u; j < COLS / N; j++) {
        let at = target_at + (subgroup * ROWS_EACH + i * M) * FLOAT_STRIDE + j * N;
        store_result(at, FLOAT_STRIDE, tile[i * (COLS / N) + j]);
      }
    }
  }
  workgroupBarrier();
}

fn four(at: u32) -> vec4<f32> {
  return vec4<f32>(floats[at], floats[at + 1u], floats[at + 2u], floats[at + 3u]);
}

fn put_four(at: u32, value: vec4<f32>) {
  for (var i = 0u; i < 4u; i++) { floats[at + i] = value[i]; }
}

// Block (x, y) of a tile in `floats`.
fn block_of(tile_at: u32, x: u32, y: u32) -> mat4x4<f32> {
  let at = tile_at + 4u * y * FLOAT_STRIDE + 4u * x;
  return mat4x4<f32>(
    four(at),
    four(at + FLOAT_STRIDE),
    four(at + 2u * FLOAT_STRIDE),
    four(at + 3u * FLOAT_STRIDE),
  );
}

fn scores_of(place: Place, col: u32, x: u32, y: u32) -> mat4x4<f32> {
  return params.scale * block_of(0u, x, y) + bias_block(place, place.row + 4u * y, col + 4u * x);
}

fn put_weights(tile: mat4x4<f32>, x: u32, y: u32) {
  let at = 4u * y * STRIDE + 4u * x;
  put4(at, vec4<Component>(tile[0]));
  put4(at + STRIDE, vec4<Component>(tile[1]));
  put4(at + 2u * STRIDE, vec4<Component>(tile[2]));
  put4(at + 3u * STRIDE, vec4<Component>(tile[3]));
}

fn width_stride() -> u32 { return 32u * CHUNKS + 8u; }

// A tile of columns in the width of the pass, of operand a or b.
fn stage_columns(place: Place, col: u32, thread: u32, of_b: bool) {
  let col_at = select(params.cols_a_at, params.cols_b_at, of_b);
  let width4 = select(params.a4, params.b4, of_b);
  for (var i = thread; i < COLS * 8u * CHUNKS; i += THREADS) {
    let line = i / (8u * CHUNKS);
    let d = i % (8u * CHUNKS);
    var value = vec4<Component>();
    if (col + line < place.end && place.column + d < width4) {
      let at = address(col_at, place, col + line) + place.column + d;
      if (of_b) { value = vec4<Component>(cols_b[at]); } else { value = vec4<Component>(cols_a[at]); }
    }
    put4(COLUMNS_AT + line * width_stride() + 4u * d, value);
  }
}

// Adds weights times columns to a subgroup's rows of the output.
fn add_columns(outputs: ptr<function, Outputs>, subgroup: u32) {
  for (var k = 0u; k < COLS; k += K) {
    for (var i = 0u; i < ROWS_EACH / M; i++) {
      let left = load_left((subgroup * ROWS_EACH + i * M) * STRIDE + k, STRIDE);
      for (var j = 0u; j < CHUNKS * (32u / N); j++) {
        let right = load_right(COLUMNS_AT + k * width_stride() + j * N, width_stride());
        let at = j * (ROWS_EACH / M) + i;
        (*outputs)[at] = multiply_add(left, right, (*outputs)[at]);
      }
    }
  }
}

// Stores the output, its rows times FACTORS, by chunks of 32 columns.
fn store_output(outputs: ptr<function, Outputs>, place: Place, thread: u32, subgroup: u32) {
  for (var chunk = 0u; chunk < CHUNKS; chunk++) {
    workgroupBarrier();
    if (subgroup < GROUPS) {
      for (var i = 0u; i < ROWS_EACH / M; i++) {
        for (var j = 0u; j < 32u / N; j++) {
          let at = (subgroup * ROWS_EACH + i * M) * FLOAT_STRIDE + j * N;
          store_result(at, FLOAT_STRIDE, (*outputs)[(chunk * (32u / N) + j) * (ROWS_EACH / M) + i]);
        }
      }
    }
    workgroupBarrier();
    for (var i = thread; i < ROWS * 8u; i += THREADS) {
      let row = i / 8u;
      let column = place.column + 8u * chunk + i % 8u;
      if (place.row + row < params.rows && column < params.out4) {
        let at = out_address(params.out_at, place, place.row + row) + column;
        out[at] = four(row * FLOAT_STRIDE + 4u * (i % 8u)) * floats[FACTORS + row];
      }
    }
  }
}

@compute @workgroup_size(THREADS)
fn forward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
  @if(!emulated) @builtin(subgroup_id) subgroup: u32,
) {
  @if(emulated) let subgroup = emulated_subgroup(thread);
  let place = place_of(group.x + group.y * groups.x, ROWS, 8u * CHUNKS);
  if (place.split >= params.splits) { return; }
  for (var i = thread; i < 8u * ROWS; i += THREADS) {
    floats[MAXIMA + i] = -HUGE;
    floats[SUMS + i] = 0.0;
  }
  for (var col = place.begin; col < place.end; col += COLS) {
    products(place, col, thread, subgroup, false, 0u);
    for (var cell = thread; cell < BLOCKS; cell += THREADS) {
      let x = cell % 8u;
      let y = cell / 8u;
      let at = x * ROWS + 4u * y;
      let scores = scores_of(place, col, x, y);
      let before = four(MAXIMA + at);
      let now = nan_max4(before, row_maxima(scores));
      put_four(MAXIMA + at, now);
      put_four(SUMS + at, four(SUMS + at) * exp(before - now) + row_sums(row_weights(scores, now)));
    }
  }
  workgroupBarrier();
  for (var row = thread; row < ROWS; row += THREADS) {
    var most = vec4<f32>(-HUGE);
    for (var x = 0u; x < 8u; x++) { most = nan_max4(most, vec4<f32>(floats[MAXIMA + x * ROWS + row])); }
    var total = 0.0;
    for (var x = 0u; x < 8u; x++) {
      total += floats[SUMS + x * ROWS + row] * exp(floats[MAXIMA + x * ROWS + row] - most.x);
    }
    let none = total == 0.0;
    floats[LEVELS + row] = most.x;
    floats[FACTORS + row] = select(1.0 / total, 0.0, none);
    if (place.column == 0u && place.row + row < params.rows) {
      let level = select(most.x + log(total), total, total != total);
      lse[out_address(params.stats_at, place, place.row + row)] = select(level, HUGE, none);
    }
  }
  var outputs: Outputs;
  for (var col = place.begin; col < place.end; col += COLS) {
    products(place, col, thread, subgroup, false, 0u);
    for (var cell = thread; cell < BLOCKS; cell += THREADS) {
      let x = cell % 8u;
      let y = cell / 8u;
      let tile = row_weights(scores_of(place, col, x, y), four(LEVELS + 4u * y));
      put_weights(times_kept(tile, place, place.row + 4u * y, col + 4u * x), x, y);
    }
    stage_columns(place, col, thread, true);
    workgroupBarrier();
    if (subgroup < GROUPS) { add_columns(&outputs, subgroup); }
  }
  store_output(&outputs, place, thread, subgroup);
}

@compute @workgroup_size(THREADS)
fn gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
  @if(!emulated) @builtin(subgroup_id) subgroup: u32,
) {
  @if(emulated) let subgroup = emulated_subgroup(thread);
  let place = place_of(group.x + group.y * groups.x, ROWS, 8u * CHUNKS);
  if (place.split >= params.splits) { return; }
  let of_values = params.values == 1u;
  let own = params.keys_own == 1u;
  let keys = select(params.cols, params.rows, own);
  let factor = f32(1u << min(firstLeadingBit(keys), select(8u, 12u, of_values)));
  var outputs: Outputs;
  for (var col = place.begin; col < place.end; col += COLS) {
    products(place, col, thread, subgroup, false, 0u);
    if (!of_values) { products(place, col, thread, subgroup, true, SECOND); }
    for (var cell = thread; cell < BLOCKS; cell += THREADS) {
      let x = cell % 8u;
      let y = cell / 8u;
      let row = place.row + 4u * y;
      let block_col = col + 4u * x;
      let known = block_stats(
        place,
        select(row, block_col, own),
        select(params.rows, params.cols, own),
      );
      var tile = block_weights(scores_of(place, col, x, y), known);
      if (of_values) {
        tile = times_kept(tile, place, row, block_col);
      } else {
        let slopes = times_kept(block_of(SECOND, x, y), place, row, block_col);
        tile = score_gradient(tile, slopes, known);
        if (params.store_scores == 1u && place.column == 0u) {
          store_scores(tile, place, row, block_col);
        }
      }
      put_weights(factor * tile, x, y);
    }
    stage_columns(place, col, thread, of_values);
    workgroupBarrier();
    if (subgroup < GROUPS) { add_columns(&outputs, subgroup); }
  }
  workgroupBarrier();
  for (var row = thread; row < ROWS; row += THREADS) {
    floats[FACTORS + row] = select(params.scale, 1.0, of_values) / factor;
  }
  store_output(&outputs, place, thread, subgroup);
}
