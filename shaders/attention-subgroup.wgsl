// Attention with online softmax (FlashAttention-2, Dao 2023) for CPU rasterisers: a workgroup is one subgroup, there
// is no workgroup memory and no barrier. Each lane owns 4 rows; a tile is 4 rows x 4 * LANES columns per
// lane, in registers, made like a tile of matmul-subgroup.wgsl: each lane loads 4 columns and hands them round.
//
// forward      out = softmax(scale * q kT + bias) v and its log-sum-exp; rows are queries, columns keys; a: q, k; b: -, v.
// gradient     weights P = exp(scores - log-sum-exp) again, dS = P * (dO vT - rowsum(dO * O)), then one of
//              dq = scale * dS k       rows are queries, columns keys; a: q, k; b: dO, v; store_scores writes dS too
//              dk = scale * dST q      keys_own: rows are keys, columns queries; a: k, q; b: v, dO
//              dv = PT dO              keys_own, values; the same operands
// Layout       see shared/attention_tile.wgsl.
// BLOCKS       vec4s of the output's width per workgroup: 4, 8 or 16; a wider one takes several (passes).
// Grid         place_of(), blocks of 4 * LANES rows. workgroup = LANES = subgroup size, 4 or 8.
// Edges        rows and columns beyond the end read the last ones; columns weigh nothing, rows are not stored.
// texels       (`?texels`) The operands come as textures, as in matmul-subgroup.wgsl; four steps go into a score at once, and four
//              columns into the output. LANES = 8. OF_VALUES is `values`: a read behind a condition is done all the same.
// Determinism  columns in order; one writer per element.
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
import package::shared::attention_tile::row_addresses;
import package::shared::attention_tile::col_addresses;
import package::shared::attention_tile::bias_block;
import package::shared::attention_tile::times_kept;
import package::shared::nan_max::nan_max4;
import package::shared::attention_tile::nan_max_block;
import package::shared::attention_tile::row_maxima;
import package::shared::attention_tile::row_sums;
import package::shared::attention_tile::scale_rows;
import package::shared::attention_tile::row_weights;
import package::shared::attention_tile::block_stats;
import package::shared::attention_tile::block_weights;
import package::shared::attention_tile::score_gradient;
import package::shared::attention_tile::store_scores;
import package::shared::outer_product::outer;
import package::shared::subgroup_block::broadcast_block;
import package::shared::texels::texel;
enable subgroups;

override LANES: u32 = 8u;
override BLOCKS: u32 = 16u;
@if(texels) override OF_VALUES: bool = false;
override UPPER: u32 = select(0u, 4u, LANES == 8u); // the lane that holds block 4 or 12

@if(texels) @group(0) @binding(0) var rows_a_texels: texture_storage_2d<rgba32float, read>;
@if(texels) @group(0) @binding(1) var cols_a_texels: texture_storage_2d<rgba32float, read>;
@if(texels) @group(0) @binding(2) var rows_b_texels: texture_storage_2d<rgba32float, read>;
@if(texels) @group(0) @binding(3) var cols_b_texels: texture_storage_2d<rgba32float, read>;

fn row_a(at: u32) -> vec4<f32> {
  @if(texels) return textureLoad(rows_a_texels, texel(at));
  @else return rows_a[at];
}

fn col_a(at: u32) -> vec4<f32> {
  @if(texels) return textureLoad(cols_a_texels, texel(at));
  @else return cols_a[at];
}

fn row_b(at: u32) -> vec4<f32> {
  @if(texels) return textureLoad(rows_b_texels, texel(at));
  @else return rows_b[at];
}

fn col_b(at: u32) -> vec4<f32> {
  @if(texels) return textureLoad(cols_b_texels, texel(at));
  @else return cols_b[at];
}

// Scores and slopes of the tile: block i belongs to the columns of lane i.
var<private> c0: mat4x4<f32>;
var<private> c1: mat4x4<f32>;
var<private> c2: mat4x4<f32>;
var<private> c3: mat4x4<f32>;
var<private> c4: mat4x4<f32>;
var<private> c5: mat4x4<f32>;
var<private> c6: mat4x4<f32>;
var<private> c7: mat4x4<f32>;
var<private> e0: mat4x4<f32>;
var<private> e1: mat4x4<f32>;
var<private> e2: mat4x4<f32>;
var<private> e3: mat4x4<f32>;
var<private> e4: mat4x4<f32>;
var<private> e5: mat4x4<f32>;
var<private> e6: mat4x4<f32>;
var<private> e7: mat4x4<f32>;

// The output: 4 rows x 4 * BLOCKS columns.
var<private> o0: mat4x4<f32>;
var<private> o1: mat4x4<f32>;
var<private> o2: mat4x4<f32>;
var<private> o3: mat4x4<f32>;
var<private> o4: mat4x4<f32>;
var<private> o5: mat4x4<f32>;
var<private> o6: mat4x4<f32>;
var<private> o7: mat4x4<f32>;
var<private> o8: mat4x4<f32>;
var<private> o9: mat4x4<f32>;
var<private> o10: mat4x4<f32>;
var<private> o11: mat4x4<f32>;
var<private> o12: mat4x4<f32>;
var<private> o13: mat4x4<f32>;
var<private> o14: mat4x4<f32>;
var<private> o15: mat4x4<f32>;

// This lane's share of a row that is added to the output: four blocks each.
var<private> share0: vec4<f32>;
var<private> share1: vec4<f32>;
var<private> share2: vec4<f32>;
var<private> share3: vec4<f32>;

// Next block to c0; `last` comes in behind.
fn rotate_scores(last: mat4x4<f32>) {
  c0 = c1;
  c1 = c2;
  c2 = c3;
  if (LANES == 4u) { c3 = last; } else {
    c3 = c4;
    c4 = c5;
    c5 = c6;
    c6 = c7;
    c7 = last;
  }
}

fn rotate_slopes() {
  e0 = e1;
  e1 = e2;
  e2 = e3;
  e3 = e4;
  e4 = e5;
  e5 = e6;
  e6 = e7;
}

fn clear_scores() {
  c0 = mat4x4<f32>();
  c1 = mat4x4<f32>();
  c2 = mat4x4<f32>();
  c3 = mat4x4<f32>();
  c4 = mat4x4<f32>();
  c5 = mat4x4<f32>();
  c6 = mat4x4<f32>();
  c7 = mat4x4<f32>();
}

fn clear_slopes() {
  e0 = mat4x4<f32>();
  e1 = mat4x4<f32>();
  e2 = mat4x4<f32>();
  e3 = mat4x4<f32>();
  e4 = mat4x4<f32>();
  e5 = mat4x4<f32>();
  e6 = mat4x4<f32>();
  e7 = mat4x4<f32>();
}

// The scores of the tile at column `col`.
fn make_scores(place: Place, row: u32, col: u32, lane: u32) {
  clear_scores();
  if (params.bias_batches > 0u || col + 4u * LANES > place.end) {
    for (var i = 0u; i < LANES; i++) { rotate_scores(bias_block(place, row, col + 4u * i)); }
  }
  let r = row_addresses(params.rows_a_at, place, row);
  let c = col_addresses(params.cols_a_at, place, col + 4u * lane);
  @if(texels)
  for (var d = 0u; d < params.a4; d++) {
    let left = mat4x4<f32>(row_a(r.x + d), row_a(r.y + d), row_a(r.z + d), row_a(r.w + d)) * params.scale;
    let right = transpose(mat4x4<f32>(col_a(c.x + d), col_a(c.y + d), col_a(c.z + d), col_a(c.w + d)));
    c0 += broadcast_block(right, 0u) * left;
    c1 += broadcast_block(right, 1u) * left;
    c2 += broadcast_block(right, 2u) * left;
    c3 += broadcast_block(right, 3u) * left;
    c4 += broadcast_block(right, 4u) * left;
    c5 += broadcast_block(right, 5u) * left;
    c6 += broadcast_block(right, 6u) * left;
    c7 += broadcast_block(right, 7u) * left;
  }
  @if(!texels)
  for (var d = 0u; d < params.a4; d++) {
    var left = transpose(mat4x4<f32>(row_a(r.x + d), row_a(r.y + d), row_a(r.z + d), row_a(r.w + d)));
    left *= params.scale;
    var right = transpose(mat4x4<f32>(col_a(c.x + d), col_a(c.y + d), col_a(c.z + d), col_a(c.w + d)));
    for (var s = 0u; s < 4u; s++) {
      c0 = outer(c0, left[0], subgroupShuffle(right[0], 0u));
      c1 = outer(c1, left[0], subgroupShuffle(right[0], 1u));
      c2 = outer(c2, left[0], subgroupShuffle(right[0], 2u));
      c3 = outer(c3, left[0], subgroupShuffle(right[0], 3u));
      if (LANES > 4u) {
        c4 = outer(c4, left[0], subgroupShuffle(right[0], 4u));
        c5 = outer(c5, left[0], subgroupShuffle(right[0], 5u));
        c6 = outer(c6, left[0], subgroupShuffle(right[0], 6u));
        c7 = outer(c7, left[0], subgroupShuffle(right[0], 7u));
      }
      left = mat4x4<f32>(left[1], left[2], left[3], left[0]);
      right = mat4x4<f32>(right[1], right[2], right[3], right[0]);
    }
  }
}

fn make_slopes(place: Place, row: u32, col: u32, lane: u32) {
  clear_slopes();
  let r = row_addresses(params.rows_b_at, place, row);
  let c = col_addresses(params.cols_b_at, place, col + 4u * lane);
  @if(texels)
  for (var d = 0u; d < params.b4; d++) {
    let left = mat4x4<f32>(row_b(r.x + d), row_b(r.y + d), row_b(r.z + d), row_b(r.w + d));
    let right = transpose(mat4x4<f32>(col_b(c.x + d), col_b(c.y + d), col_b(c.z + d), col_b(c.w + d)));
    e0 += broadcast_block(right, 0u) * left;
    e1 += broadcast_block(right, 1u) * left;
    e2 += broadcast_block(right, 2u) * left;
    e3 += broadcast_block(right, 3u) * left;
    e4 += broadcast_block(right, 4u) * left;
    e5 += broadcast_block(right, 5u) * left;
    e6 += broadcast_block(right, 6u) * left;
    e7 += broadcast_block(right, 7u) * left;
  }
  @if(!texels)
  for (var d = 0u; d < params.b4; d++) {
    var left = transpose(mat4x4<f32>(row_b(r.x + d), row_b(r.y + d), row_b(r.z + d), row_b(r.w + d)));
    var right = transpose(mat4x4<f32>(col_b(c.x + d), col_b(c.y + d), col_b(c.z + d), col_b(c.w + d)));
    for (var s = 0u; s < 4u; s++) {
      e0 = outer(e0, left[0], subgroupShuffle(right[0], 0u));
      e1 = outer(e1, left[0], subgroupShuffle(right[0], 1u));
      e2 = outer(e2, left[0], subgroupShuffle(right[0], 2u));
      e3 = outer(e3, left[0], subgroupShuffle(right[0], 3u));
      if (LANES > 4u) {
        e4 = outer(e4, left[0], subgroupShuffle(right[0], 4u));
        e5 = outer(e5, left[0], subgroupShuffle(right[0], 5u));
        e6 = outer(e6, left[0], subgroupShuffle(right[0], 6u));
        e7 = outer(e7, left[0], subgroupShuffle(right[0], 7u));
      }
      left = mat4x4<f32>(left[1], left[2], left[3], left[0]);
      right = mat4x4<f32>(right[1], right[2], right[3], right[0]);
    }
  }
}

// Vec4 `index` of the row that begins at `at`.
fn part(of_b: bool, at: u32, index: u32) -> vec4<f32> {
  if (of_b) { return col_b(at + min(index, params.b4 - 1u)); }
  return col_a(at + min(index, params.a4 - 1u));
}

// The lane's share of row `at` of the columns' operand: of b, or of a.
fn load_shares(of_b: bool, place: Place, at: u32, first: u32) {
  let line = min(at, place.end - 1u);
  let start = select(
    address(params.cols_a_at, place, line),
    address(params.cols_b_at, place, line),
    of_b,
  );
  share0 = part(of_b, start, first);
  share1 = share0;
  if (LANES == 4u && BLOCKS > 4u) { share1 = part(of_b, start, first + 4u); }
  if (BLOCKS > 8u) { share2 = part(of_b, start, first + 8u); }
  share3 = share2;
  if (LANES == 4u && BLOCKS > 12u) { share3 = part(of_b, start, first + 12u); }
}

// Adds one weight per row times the row that is loaded.
fn add_shares(weight: vec4<f32>) {
  o0 = outer(o0, weight, subgroupShuffle(share0, 0u));
  o1 = outer(o1, weight, subgroupShuffle(share0, 1u));
  if (BLOCKS > 2u) {
    o2 = outer(o2, weight, subgroupShuffle(share0, 2u));
    o3 = outer(o3, weight, subgroupShuffle(share0, 3u));
  }
  if (BLOCKS > 4u) {
    o4 = outer(o4, weight, subgroupShuffle(share1, UPPER));
    o5 = outer(o5, weight, subgroupShuffle(share1, UPPER + 1u));
    o6 = outer(o6, weight, subgroupShuffle(share1, UPPER + 2u));
    o7 = outer(o7, weight, subgroupShuffle(share1, UPPER + 3u));
  }
  if (BLOCKS > 8u) {
    o8 = outer(o8, weight, subgroupShuffle(share2, 0u));
    o9 = outer(o9, weight, subgroupShuffle(share2, 1u));
    o10 = outer(o10, weight, subgroupShuffle(share2, 2u));
    o11 = outer(o11, weight, subgroupShuffle(share2, 3u));
  }
  if (BLOCKS > 12u) {
    o12 = outer(o12, weight, subgroupShuffle(share3, UPPER));
    o13 = outer(o13, weight, subgroupShuffle(share3, UPPER + 1u));
    o14 = outer(o14, weight, subgroupShuffle(share3, UPPER + 2u));
    o15 = outer(o15, weight, subgroupShuffle(share3, UPPER + 3u));
  }
}

// Adds the four columns from `col`, weighted as `weights` says for each row: of the columns' operand b, or of a.
@if(texels)
fn add_four(of_b: bool, place: Place, col: u32, first: u32, weights: mat4x4<f32>) {
  let line = min(col + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(place.end - 1u));
  let at = select(params.cols_a_at, params.cols_b_at, of_b);
  let start = address(at, place, 0u) + line * at.z;
  let low = mat4x4<f32>(
    part(of_b, start.x, first), part(of_b, start.y, first), part(of_b, start.z, first), part(of_b, start.w, first),
  );
  o0 += broadcast_block(low, 0u) * weights;
  o1 += broadcast_block(low, 1u) * weights;
  o2 += broadcast_block(low, 2u) * weights;
  o3 += broadcast_block(low, 3u) * weights;
  if (BLOCKS > 4u) {
    o4 += broadcast_block(low, 4u) * weights;
    o5 += broadcast_block(low, 5u) * weights;
    o6 += broadcast_block(low, 6u) * weights;
    o7 += broadcast_block(low, 7u) * weights;
  }
  if (BLOCKS > 8u) {
    let next = first + 8u;
    let high = mat4x4<f32>(
      part(of_b, start.x, next), part(of_b, start.y, next), part(of_b, start.z, next), part(of_b, start.w, next),
    );
    o8 += broadcast_block(high, 0u) * weights;
    o9 += broadcast_block(high, 1u) * weights;
    o10 += broadcast_block(high, 2u) * weights;
    o11 += broadcast_block(high, 3u) * weights;
    o12 += broadcast_block(high, 4u) * weights;
    o13 += broadcast_block(high, 5u) * weights;
    o14 += broadcast_block(high, 6u) * weights;
    o15 += broadcast_block(high, 7u) * weights;
  }
}

fn scale_output(by: vec4<f32>) {
  o0 = scale_rows(o0, by);
  o1 = scale_rows(o1, by);
  o2 = scale_rows(o2, by);
  o3 = scale_rows(o3, by);
  if (BLOCKS > 4u) {
    o4 = scale_rows(o4, by);
    o5 = scale_rows(o5, by);
    o6 = scale_rows(o6, by);
    o7 = scale_rows(o7, by);
  }
  if (BLOCKS > 8u) {
    o8 = scale_rows(o8, by);
    o9 = scale_rows(o9, by);
    o10 = scale_rows(o10, by);
    o11 = scale_rows(o11, by);
  }
  if (BLOCKS > 12u) {
    o12 = scale_rows(o12, by);
    o13 = scale_rows(o13, by);
    o14 = scale_rows(o14, by);
    o15 = scale_rows(o15, by);
  }
}

fn store_output(place: Place, row: u32, by: vec4<f32>) {
  // Through an array and a loop: the first dispatch compiles this.
  var blocks = array<mat4x4<f32>, 16>(o0, o1, o2, o3, o4, o5, o6, o7, o8, o9, o10, o11, o12, o13, o14, o15);
  for (var e = 0u; e < 4u * BLOCKS; e++) {
    let r = row + e % 4u;
    let column = place.column + e / 4u;
    if (r < params.rows && column < params.out4) {
      let at = out_address(params.out_at, place, r) + column;
      out[at] = blocks[e / 4u][e % 4u] * by[e % 4u];
    }
  }
}

fn tile_maxima() -> vec4<f32> {
  var most = nan_max_block(nan_max_block(c0, c1), nan_max_block(c2, c3));
  if (LANES > 4u) {
    most = nan_max_block(most, nan_max_block(nan_max_block(c4, c5), nan_max_block(c6, c7)));
  }
  return row_maxima(most);
}

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = place_of(group.x + group.y * groups.x, 4u * LANES, BLOCKS);
  if (place.split >= params.splits) { return; }
  let row = place.row + 4u * lane;
  var most = vec4<f32>(-HUGE);
  var total = vec4<f32>(0.0);
  for (var col = place.begin; col < place.end; col += 4u * LANES) {
    make_scores(place, row, col, lane);
    let now = nan_max4(most, tile_maxima());
    let fade = exp(most - now);
    most = now;
    total *= fade;
    scale_output(fade);
    for (var i = 0u; i < LANES; i++) {
      let weights = row_weights(c0, most);
      total += row_sums(weights);
      let kept = times_kept(weights, place, row, col + 4u * i);
      @if(texels) add_four(true, place, col + 4u * i, place.column + lane, kept);
      @if(!texels) var by_column = transpose(kept);
      @if(!texels)
      for (var s = 0u; s < 4u; s++) {
        load_shares(true, place, col + 4u * i + s, place.column + lane);
        add_shares(by_column[0]);
        by_column = mat4x4<f32>(by_column[1], by_column[2], by_column[3], by_column[0]);
      }
      rotate_scores(c0);
    }
  }
  let none = total == vec4<f32>(0.0);
  store_output(place, row, select(1.0 / total, vec4<f32>(0.0), none));
  if (place.column > 0u) { return; }
  var level = select(most + log(total), total, total != total);
  level = select(level, vec4<f32>(HUGE), none);
  for (var r = 0u; r < 4u; r++) {
    let at = out_address(params.stats_at, place, row + r);
    if (row + r < params.rows) { lse[at] = level[r]; }
  }
}

@compute @workgroup_size(LANES)
fn gradient(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = place_of(group.x + group.y * groups.x, 4u * LANES, BLOCKS);
  if (place.split >= params.splits) { return; }
  let row = place.row + 4u * lane;
  @if(texels) let of_values = OF_VALUES;
  @else let of_values = params.values == 1u;
  let own = params.keys_own == 1u;
  var known = BlockStats(vec4<f32>(0.0), vec4<f32>(0.0));
  for (var col = place.begin; col < place.end; col += 4u * LANES) {
    make_scores(place, row, col, lane);
    if (!of_values) { make_slopes(place, row, col, lane); }
    for (var i = 0u; i < LANES; i++) {
      let block_col = col + 4u * i;
      if (own || (i == 0u && col == place.begin)) {
        known = block_stats(place, select(row, block_col, own), select(params.rows, params.cols, own));
      }
      var weights = block_weights(c0, known);
      var factor = e0;
      if (of_values) { factor = weights; }
      factor = times_kept(factor, place, row, block_col);
      if (of_values) {
        weights = factor;
      } else {
        weights = score_gradient(weights, factor, known);
        if (params.store_scores == 1u && place.column == 0u) { store_scores(weights, place, row, block_col); }
      }
      @if(texels) add_four(of_values, place, block_col, place.column + lane, weights);
      @if(!texels) var by_column = transpose(weights);
      @if(!texels)
      for (var s = 0u; s < 4u; s++) {
        load_shares(of_values, place, block_col + s, place.column + lane);
        add_shares(by_column[0]);
        by_column = mat4x4<f32>(by_column[1], by_column[2], by_column[3], by_column[0]);
      }
      rotate_scores(c0);
      rotate_slopes();
    }
  }
  store_output(place, row, vec4<f32>(select(params.scale, 1.0, of_values)));
}
