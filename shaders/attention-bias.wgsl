// The additive bias of attention, and the gradient of its table.
//
// additive        [batches, heads, queries, keys] from any of: a table [R, H] or [H, R] (by its strides) with index
//                 [queries, keys] in R, windows [W, queries, keys] (batch b uses b % W), and a key mask
//                 [batches, keys], 0 where a key does not count.
// table_gradient  each element of the table sums the gradient of the scores [heads, places] over the places that
//                 hold its row, positions[starts[r]] .. positions[starts[r + 1] - 1].
// Grid            one thread per element of the result.
// Determinism     fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;

struct Params {
  count: u32, // elements of the result
  heads: u32,
  queries: u32,
  keys: u32,
  windows: u32, // 0: none
  rows: u32, // of the table; 0: none
  row_stride: u32,
  head_stride: u32,
  masked: u32, // whether there is a key mask
}

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> window_mask: array<f32>;
@group(0) @binding(4) var<storage, read> key_mask: array<f32>;
@group(0) @binding(5) var<storage, read> starts: array<u32>;
@group(0) @binding(6) var<storage, read> positions: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

const MASKED = -3.0e38f;

fn index_of(at: Invocation) -> u32 {
  return group_index(at) * WORKGROUP + at.thread;
}

@compute @workgroup_size(WORKGROUP)
fn additive(at: Invocation) {
  let i = index_of(at);
  if (i >= params.count) { return; }
  let place = i % (params.queries * params.keys);
  let head = i / (params.queries * params.keys) % params.heads;
  let batch = i / (params.queries * params.keys * params.heads);
  var value = 0.0;
  if (params.rows > 0u) { value = table[indices[place] * params.row_stride + head * params.head_stride]; }
  if (params.windows > 0u) { value += window_mask[batch % params.windows * params.queries * params.keys + place]; }
  if (params.masked > 0u) {
    if (key_mask[batch * params.keys + place % params.keys] == 0.0) { value = MASKED; }
  }
  out[i] = value;
}

@compute @workgroup_size(WORKGROUP)
fn table_gradient(at: Invocation) {
  let i = index_of(at);
  if (i >= params.count) { return; }
  let row = i / params.heads;
  let head = i % params.heads;
  var total = 0.0;
  for (var n = starts[row]; n < starts[row + 1u]; n++) {
    total += scores[head * params.queries * params.keys + positions[n]];
  }
  out[row * params.row_stride + head * params.head_stride] = total;
}
