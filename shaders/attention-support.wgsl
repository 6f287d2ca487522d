// What attention needs around its main kernels (attention-subgroup.wgsl, attention-tiled.wgsl).
//
// merge           joins results over parts of the keys: L = log sum exp(L_s), out = sum exp(L_s - L) out_s.
//                 parts [splits, units, width4] vec4s and levels [splits, units]; a unit is a query of a head.
// statistics      per query: (log-sum-exp, sum of dO * O), from out and dout by `at` (strides of batch, head, row).
// Grid            one thread per unit (times vec4 in merge).
// Determinism     fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;

struct Params { at: vec4<u32>, count: u32, splits: u32, width4: u32, heads: u32, queries: u32 }

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> levels: array<f32>;
@group(0) @binding(2) var<storage, read> o: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> d_o: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out2: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

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
