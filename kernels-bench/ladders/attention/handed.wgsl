// Attention with a query to each lane of a subgroup: each lane loads the key (and value) of its own number among LANES, and hands it
// to the others by subgroupShuffle, so that a load serves all of them.
//
// Layout       q, k, v, out: [heads, tokens, 64] contiguous float32 as vec4s.
// Grid         blocks of LANES queries, then heads. workgroup = LANES = subgroup size, 4 or 8.
// Edges        queries and keys beyond the end read the last ones; such keys weigh nothing, such queries are not stored.
// Determinism  keys in order; one writer per element.
enable subgroups;

override LANES: u32 = 8u;

const WIDTH4 = 16u;
const NONE = -3.0e38f;

// width4: WIDTH4, but unknown to compilers: a loop of constant length is written out.
struct Params { heads: u32, tokens: u32, scale: f32, width4: u32 }

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

// Scores of four keys from `lane` on: those beyond the end weigh nothing.
fn there(scores: vec4<f32>, first: u32) -> vec4<f32> {
  let beyond = first + vec4<u32>(0u, 1u, 2u, 3u) >= vec4<u32>(params.tokens);
  return select(scores, vec4<f32>(NONE), beyond);
}

fn four(own: vec4<f32>, key: vec4<f32>, lane: u32) -> vec4<f32> {
  return vec4<f32>(
    dot(own, subgroupShuffle(key, lane)),
    dot(own, subgroupShuffle(key, lane + 1u)),
    dot(own, subgroupShuffle(key, lane + 2u)),
    dot(own, subgroupShuffle(key, lane + 3u)),
  );
}

fn weighted(weights: vec4<f32>, value: vec4<f32>, lane: u32) -> vec4<f32> {
  return (weights.x * subgroupShuffle(value, lane) + weights.y * subgroupShuffle(value, lane + 1u))
    + (weights.z * subgroupShuffle(value, lane + 2u) + weights.w * subgroupShuffle(value, lane + 3u));
}

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let blocks = (params.tokens + LANES - 1u) / LANES;
  let index = group.x + group.y * groups.x;
  let head = index / blocks;
  if (head >= params.heads) { return; }
  let query = (index % blocks) * LANES + lane;
  let start = head * params.tokens;
  let row = (start + min(query, params.tokens - 1u)) * WIDTH4;
  var result = array<vec4<f32>, WIDTH4>();
  var most = NONE;
  var total = 0.0;
  for (var first = 0u; first < params.tokens; first += LANES) {
    let line = (start + min(first + lane, params.tokens - 1u)) * WIDTH4;
    var low = vec4<f32>(0.0);
    var high = vec4<f32>(0.0);
    for (var d = 0u; d < params.width4; d++) {
      let own = q[row + d];
      let key = k[line + d];
      low += four(own, key, 0u);
      if (LANES > 4u) { high += four(own, key, 4u); }
    }
    low = there(low * params.scale, first);
    high = there(high * params.scale, first + 4u);
    if (LANES == 4u) { high = vec4<f32>(NONE); }
    let top = max(low, high);
    let now = max(most, max(max(top.x, top.y), max(top.z, top.w)));
    let fade = exp(most - now);
    most = now;
    low = exp(low - now);
    high = exp(high - now);
    total = total * fade + dot(low + high, vec4<f32>(1.0));
    for (var d = 0u; d < WIDTH4; d++) {
      let value = v[line + d];
      result[d] = result[d] * fade + weighted(low, value, 0u);
      if (LANES > 4u) { result[d] += weighted(high, value, 4u); }
    }
  }
  if (query >= params.tokens) { return; }
  for (var d = 0u; d < WIDTH4; d++) { out[row + d] = result[d] / total; }
}
