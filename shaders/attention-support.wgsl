// What attention needs around its main kernels (attention-subgroup.wgsl, attention-tiled.wgsl).
//
// merge           joins results over parts of the keys: L = log sum exp(L_s), out = sum exp(L_s - L) out_s.
//                 parts [splits, units, width4] vec4s and levels [splits, units]; a unit is a query of a head.
// statistics      per query: (log-sum-exp, sum of dO * O), from out and dout by `at` (strides of batch, head, row).
// additive        the additive bias [batches, heads, queries, keys] from any of: a table [R, H] or [H, R] (by its
//                 strides) with index [queries, keys] in R, windows [W, queries, keys] (batch b uses b % W), and a key
//                 mask [batches, keys], 0 where a key does not count.
// table_gradient  gradient of the table: each element sums the gradient of the scores [heads, places] over the
//                 places that hold its row, positions[starts[r]] .. positions[starts[r + 1] - 1].
// Grid            one thread per unit (times vec4 in merge) or element of the result.
// Determinism     fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;

struct Params {
  at: vec4<u32>,
  count: u32,
  splits: u32,
  width4: u32,
  heads: u32,
  queries: u32,
  keys: u32,
  windows: u32, // 0: none
  rows: u32, // of the table; 0: none
  row_stride: u32,
  head_stride: u32,
  masked: u32, // whether there is a key mask
}

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> levels: array<f32>;
@group(0) @binding(2) var<storage, read> o: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> d_o: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> table: array<f32>;
@group(0) @binding(5) var<storage, read> indices: array<u32>;
@group(0) @binding(6) var<storage, read> window_mask: array<f32>;
@group(0) @binding(7) var<storage, read> key_mask: array<f32>;
@group(0) @binding(8) var<storage, read> starts: array<u32>;
@group(0) @binding(9) var<storage, read> positions: array<u32>;
@group(0) @binding(10) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> out2: array<vec2<f32>>;
@group(0) @binding(12) var<storage, read_write> out: array<f32>;
@group(0) @binding(13) var<uniform> params: Params;

const MASKED = -3.0e38f;

fn index_of(at: Invocation) -> u32 {
  return group_index(at) * WORKGROUP + at.thread;
}

@compute @workgroup_size(WORKGROUP)
fn merge(at: Invocation) {
  let i = index_of(at);
  if (i >= params.count * params.width4) { return; }
  let unit = i / params.width4;
  // Where all keys of a part are masked, its level is huge and its result 0.
  var most = -3.4028234e38f;
  for (var s = 0u; s < params.splits; s++) {
    let level = levels[s * params.count + unit];
    if (level != level) { most = level; }
    if (level < 1.0e38 && !(level <= most) && most == most) { most = level; }
  }
  var total = 0.0;
  var sum = vec4<f32>(0.0);
  for (var s = 0u; s < params.splits; s++) {
    let level = levels[s * params.count + unit];
    var weight = exp(level - most);
    if (level != level || most != most) { weight = most; }
    if (level >= 1.0e38) { weight = 0.0; }
    total += weight;
    sum += weight * parts[s * params.count * params.width4 + i];
  }
  let none = total == 0.0;
  out4[i] = select(sum / total, vec4<f32>(0.0), none);
  if (i % params.width4 > 0u) { return; }
  var level = most + log(total);
  if (total != total) { level = total; }
  out[unit] = select(level, 3.4028234e38f, none);
}

@compute @workgroup_size(WORKGROUP)
fn statistics(at: Invocation) {
  let i = index_of(at);
  if (i >= params.count) { return; }
  let query = i % params.queries;
  let head = (i / params.queries) % params.heads;
  let batch = i / params.queries / params.heads;
  let start = params.at.w + batch * params.at.x + head * params.at.y + query * params.at.z;
  var total = vec4<f32>(0.0);
  for (var d = 0u; d < params.width4; d++) { total += o[start + d] * d_o[start + d]; }
  out2[i] = vec2<f32>(levels[i], total.x + total.y + total.z + total.w);
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
  if (i >= params.rows * params.heads) { return; }
  let row = i / params.heads;
  let head = i % params.heads;
  var total = 0.0;
  for (var n = starts[row]; n < starts[row + 1u]; n++) {
    total += levels[head * params.queries * params.keys + positions[n]];
  }
  out[row * params.row_stride + head * params.head_stride] = total;
}
