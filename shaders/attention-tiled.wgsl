// Attention with online softmax (FlashAttention-2, Dao 2023) for GPUs, and where there are no subgroups of one
// size: a workgroup owns some rows and walks tiles of columns. Each thread makes a 4 x 4 block of a tile's
// scores from slices of the operands in workgroup memory; the weights go through workgroup memory, too, and every
// thread adds up 4 rows x 4 * CHUNKS columns of the output.
//
// forward, gradient, layout: as in attention-subgroup.wgsl and shared/attention_tile.wgsl.
// The tile     4 * THREADS_Y rows x 4 * THREADS_X columns.
// SLICE4       vec4s of an operand's row staged at once.
// CHUNKS       the output's width per workgroup in units of 4 * THREADS_X: 1 to 4; a wider one takes several (passes).
// Grid         place_of(), blocks of 4 * THREADS_Y rows.
// Bounds       as in shared/register_tile.wgsl: hence min where an index is in bounds anyway, and loops with constant bounds.
// Host         THREADS_X, THREADS_Y and SLICE4 are powers of two; 16 * (LEFT_SIZE + RIGHT_SIZE + WEIGHTS_SIZE) bytes
//              of workgroup memory.
// Edges        rows and columns beyond the end read the last ones; columns weigh nothing, rows are not stored.
// Determinism  columns in order, fixed order within a tile; one writer per element.
import package::shared::attention_tile::Place;
import package::shared::attention_tile::BlockStats;
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
import package::shared::attention_tile::scale_rows;
import package::shared::outer_product::outer;
import package::shared::attention_tile::row_weights;
import package::shared::attention_tile::block_stats;
import package::shared::attention_tile::block_weights;
import package::shared::attention_tile::score_gradient;
import package::shared::attention_tile::store_scores;
@if(half) enable f16;

override THREADS_X: u32 = 8u;
override THREADS_Y: u32 = 16u;
override SLICE4: u32 = 4u;
override CHUNKS: u32 = 2u;
override ROWS: u32 = 4u * THREADS_Y;
override COLS: u32 = 4u * THREADS_X;
override PAD: u32 = THREADS_Y + 1u; // and one: neighbouring columns fall into different banks
// Later it holds a vec4 per thread: the statistics of rows.
override LEFT_SIZE: u32 = max(SLICE4 * ROWS, THREADS_X * THREADS_Y);
override RIGHT_SIZE: u32 = SLICE4 * COLS;
override WEIGHTS_SIZE: u32 = COLS * PAD;

var<workgroup> left: array<vec4<f32>, LEFT_SIZE>; // [SLICE4][ROWS]
var<workgroup> right: array<vec4<f32>, RIGHT_SIZE>; // [SLICE4][COLS]
var<workgroup> weights: array<vec4<f32>, WEIGHTS_SIZE>; // [COLS][PAD]: four rows of a column

fn block_at(x: u32, y: u32, d: u32, tile: mat4x4<f32>) -> mat4x4<f32> {
  let l = min(d, SLICE4 - 1u) * ROWS + 4u * min(y, THREADS_Y - 1u);
  let r = min(d, SLICE4 - 1u) * COLS + 4u * min(x, THREADS_X - 1u);
  let columns = mat4x4<f32>(right[r], right[r + 1u], right[r + 2u], right[r + 3u]);
  return mat4x4<f32>(
    tile[0] + left[l] * columns,
    tile[1] + left[l + 1u] * columns,
    tile[2] + left[l + 2u] * columns,
    tile[3] + left[l + 3u] * columns,
  );
}

// Products of the thread's rows and columns: of operands a, or b.
fn products(place: Place, col: u32, x: u32, y: u32, of_b: bool) -> mat4x4<f32> {
  var row_at = address(params.rows_a_at, place, 0u);
  var col_at = address(params.cols_a_at, place, 0u);
  var row_stride = params.rows_a_at.z;
  var col_stride = params.cols_a_at.z;
  var width4 = params.a4;
  if (of_b) {
    row_at = address(params.rows_b_at, place, 0u);
    col_at = address(params.cols_b_at, place, 0u);
    row_stride = params.rows_b_at.z;
    col_stride = params.cols_b_at.z;
    width4 = params.b4;
  }
  var tile = mat4x4<f32>();
  for (var d0 = 0u; d0 < width4; d0 += SLICE4) {
    workgroupBarrier();
    for (var i = y * THREADS_X + x; i < SLICE4 * (ROWS + COLS); i += THREADS_X * THREADS_Y) {
      let d = d0 + i % SLICE4;
      let line = i / SLICE4;
      let own = line < ROWS;
      var at = col_at + min(col + line - ROWS, place.end - 1u) * col_stride + d;
      if (own) { at = row_at + min(place.row + line, params.rows - 1u) * row_stride + d; }
      var value = vec4<f32>(0.0);
      if (d < width4) {
        if (own && of_b) { value = vec4<f32>(rows_b[at]); }
        else if (own) { value = vec4<f32>(rows_a[at]); }
        else if (of_b) { value = vec4<f32>(cols_b[at]); }
        else { value = vec4<f32>(cols_a[at]); }
      }
      if (own) { left[(i % SLICE4) * ROWS + line] = value; }
      else { right[(i % SLICE4) * COLS + line - ROWS] = value; }
    }
    workgroupBarrier();
    for (var d = 0u; d < SLICE4; d++) { tile = block_at(x, y, d, tile); }
  }
  return tile;
}

fn as_scores(tile: mat4x4<f32>, place: Place, col: u32, x: u32, y: u32) -> mat4x4<f32> {
  return params.scale * tile + bias_block(place, place.row + 4u * y, col + 4u * x);
}

// Hands the weights of a thread's block to all; ends with a barrier, as does the caller's use of them.
fn share_weights(tile: mat4x4<f32>, x: u32, y: u32) {
  let by_column = transpose(tile);
  let at = 4u * x * PAD + y;
  weights[at] = by_column[0];
  weights[at + PAD] = by_column[1];
  weights[at + 2u * PAD] = by_column[2];
  weights[at + 3u * PAD] = by_column[3];
  workgroupBarrier();
}

// This thread's columns of the output: 4 * (x + THREADS_X * chunk) of the pass.
var<private> o0: mat4x4<f32>;
var<private> o1: mat4x4<f32>;
var<private> o2: mat4x4<f32>;
var<private> o3: mat4x4<f32>;

// Vec4 `index` of the row of the columns' operand that begins at `at`.
fn part(of_b: bool, at: u32, index: u32) -> vec4<f32> {
  if (of_b) { return vec4<f32>(cols_b[at + min(index, params.b4 - 1u)]); }
  return vec4<f32>(cols_a[at + min(index, params.a4 - 1u)]);
}

fn add_columns(of_b: bool, place: Place, col: u32, x: u32, y: u32) {
  let first = place.column + x;
  let quad = min(y, THREADS_Y - 1u);
  for (var j = 0u; j < COLS; j++) {
    if (col + j >= place.end) { break; }
    let weight = weights[j * PAD + quad];
    let at = select(
      address(params.cols_a_at, place, col + j),
      address(params.cols_b_at, place, col + j),
      of_b,
    );
    o0 = outer(o0, weight, part(of_b, at, first));
    if (CHUNKS > 1u) { o1 = outer(o1, weight, part(of_b, at, first + THREADS_X)); }
    if (CHUNKS > 2u) { o2 = outer(o2, weight, part(of_b, at, first + 2u * THREADS_X)); }
    if (CHUNKS > 3u) { o3 = outer(o3, weight, part(of_b, at, first + 3u * THREADS_X)); }
  }
}

fn scale_output(by: vec4<f32>) {
  o0 = scale_rows(o0, by);
  if (CHUNKS > 1u) { o1 = scale_rows(o1, by); }
  if (CHUNKS > 2u) { o2 = scale_rows(o2, by); }
  if (CHUNKS > 3u) { o3 = scale_rows(o3, by); }
}

fn store_output(place: Place, row: u32, x: u32) {
  var chunks = array<mat4x4<f32>, 4>(o0, o1, o2, o3);
  for (var e = 0u; e < 4u * CHUNKS; e++) {
    let r = row + e % 4u;
    let column = place.column + x + THREADS_X * (e / 4u);
    if (r < params.rows && column < params.out4) {
      let at = out_address(params.out_at, place, r) + column;
      out[at] = chunks[e / 4u][e % 4u];
    }
  }
}

@compute @workgroup_size(THREADS_X, THREADS_Y)
fn forward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let place = place_of(group.x + group.y * groups.x, ROWS, THREADS_X * CHUNKS);
  if (place.split >= params.splits) { return; }
  let row = place.row + 4u * local.y;
  var most = vec4<f32>(-HUGE);
  var total = vec4<f32>(0.0); // over this thread's columns
  for (var col = place.begin; col < place.end; col += COLS) {
    let scores = as_scores(products(place, col, local.x, local.y, false), place, col, local.x, local.y);
    workgroupBarrier();
    left[local.x * THREADS_Y + local.y] = row_maxima(scores);
    workgroupBarrier();
    var now = most;
    for (var x = 0u; x < THREADS_X; x++) { now = nan_max4(now, left[x * THREADS_Y + local.y]); }
    let fade = exp(most - now);
    most = now;
    let tile = row_weights(scores, most);
    total = total * fade + row_sums(tile);
    scale_output(fade);
    share_weights(times_kept(tile, place, row, col + 4u * local.x), local.x, local.y);
    add_columns(true, place, col, local.x, local.y);
    workgroupBarrier();
  }
  workgroupBarrier();
  left[local.x * THREADS_Y + local.y] = total;
  workgroupBarrier();
  total = vec4<f32>(0.0);
  for (var x = 0u; x < THREADS_X; x++) { total += left[x * THREADS_Y + local.y]; }
  let none = total == vec4<f32>(0.0);
  scale_output(select(1.0 / total, vec4<f32>(0.0), none));
  store_output(place, row, local.x);
  if (place.column > 0u || local.x > 0u) { return; }
  var level = select(most + log(total), total, total != total);
  level = select(level, vec4<f32>(HUGE), none);
  for (var r = 0u; r < 4u; r++) {
    let at = out_address(params.stats_at, place, row + r);
    if (row + r < params.rows) { lse[at] = level[r]; }
  }
}

@compute @workgroup_size(THREADS_X, THREADS_Y)
fn gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let place = place_of(group.x + group.y * groups.x, ROWS, THREADS_X * CHUNKS);
  if (place.split >= params.splits) { return; }
  let row = place.row + 4u * local.y;
  let of_values = params.values == 1u;
  let own = params.keys_own == 1u;
  var known = BlockStats(vec4<f32>(0.0), vec4<f32>(0.0));
  for (var col = place.begin; col < place.end; col += COLS) {
    let block_col = col + 4u * local.x;
    if (own || col == place.begin) {
      known = block_stats(place, select(row, block_col, own), select(params.rows, params.cols, own));
    }
    // One after the other in a loop: written twice (or unrolled), it would take twice as long to compile.
    var scores = mat4x4<f32>();
    var slopes = mat4x4<f32>();
    for (var turn = params.values; turn < 2u; turn++) {
      scores = slopes;
      slopes = products(place, col, local.x, local.y, turn != params.values);
    }
    if (of_values) { scores = slopes; }
    var tile = block_weights(as_scores(scores, place, col, local.x, local.y), known);
    var factor = slopes;
    if (of_values) { factor = tile; }
    factor = times_kept(factor, place, row, block_col);
    if (of_values) {
      tile = factor;
    } else {
      tile = score_gradient(tile, factor, known);
      if (params.store_scores == 1u && place.column == 0u) { store_scores(tile, place, row, block_col); }
    }
    share_weights(tile, local.x, local.y);
    add_columns(of_values, place, col, local.x, local.y);
    workgroupBarrier();
  }
  scale_output(vec4<f32>(select(params.scale, 1.0, of_values)));
  store_output(place, row, local.x);
}
