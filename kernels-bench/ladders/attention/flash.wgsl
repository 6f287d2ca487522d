// Attention in one pass over the keys with a running maximum (Milakov & Gimelshein 2018), a query to each thread.
//
// plain        every thread reads all keys and values for itself.
// tiled        the threads of a workgroup load TILE keys and values together into workgroup memory.
// Layout       q, k, v, out: [heads, tokens, 64] contiguous float32 as vec4s.
// Grid         blocks of WORKGROUP queries, then heads.
// Edges        queries beyond the end do the last one again, and are not stored.
// Determinism  keys in order; one writer per element.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;

const WIDTH4 = 16u;
const TILE = 16u;

// width4: WIDTH4, but unknown to compilers: loops of constant length are written out, and compile for seconds.
struct Params { heads: u32, tokens: u32, scale: f32, width4: u32 }

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

var<private> own: array<vec4<f32>, WIDTH4>;
var<private> result: array<vec4<f32>, WIDTH4>;
var<private> most: f32;
var<private> total: f32;

var<workgroup> keys: array<vec4<f32>, TILE * WIDTH4>;
var<workgroup> values: array<vec4<f32>, TILE * WIDTH4>;

struct Place { head: u32, query: u32, there: bool }

fn place_of(at: Invocation) -> Place {
  let blocks = (params.tokens + WORKGROUP - 1u) / WORKGROUP;
  let query = (group_index(at) % blocks) * WORKGROUP + at.thread;
  return Place(group_index(at) / blocks, min(query, params.tokens - 1u), query < params.tokens);
}

fn begin(place: Place) {
  let row = (place.head * params.tokens + place.query) * WIDTH4;
  for (var d = 0u; d < params.width4; d++) {
    own[d] = q[row + d] * params.scale;
    result[d] = vec4<f32>(0.0);
  }
  most = -3.4028234e38f;
  total = 0.0;
}

// The weight of a key with that score; what was summed so far is scaled to the new maximum.
fn weigh(score: f32) -> f32 {
  let now = max(most, score);
  let fade = exp(most - now);
  most = now;
  let weight = exp(score - now);
  total = total * fade + weight;
  for (var d = 0u; d < params.width4; d++) { result[d] *= fade; }
  return weight;
}

fn finish(place: Place) {
  if (!place.there) { return; }
  let row = (place.head * params.tokens + place.query) * WIDTH4;
  for (var d = 0u; d < params.width4; d++) { out[row + d] = result[d] / total; }
}

@compute @workgroup_size(WORKGROUP)
fn plain(at: Invocation) {
  let place = place_of(at);
  if (place.head >= params.heads) { return; }
  begin(place);
  for (var key = 0u; key < params.tokens; key++) {
    let row = (place.head * params.tokens + key) * WIDTH4;
    var score = 0.0;
    for (var d = 0u; d < params.width4; d++) { score += dot(own[d], k[row + d]); }
    let weight = weigh(score);
    for (var d = 0u; d < params.width4; d++) { result[d] += weight * v[row + d]; }
  }
  finish(place);
}

@compute @workgroup_size(WORKGROUP)
fn tiled(at: Invocation) {
  let place = place_of(at);
  begin(place);
  let head = min(place.head, params.heads - 1u) * params.tokens * WIDTH4;
  for (var first = 0u; first < params.tokens; first += TILE) {
    let count = min(TILE, params.tokens - first);
    for (var i = at.thread; i < count * WIDTH4; i += WORKGROUP) {
      keys[i] = k[head + first * WIDTH4 + i];
      values[i] = v[head + first * WIDTH4 + i];
    }
    workgroupBarrier();
    for (var key = 0u; key < count; key++) {
      var score = 0.0;
      for (var d = 0u; d < params.width4; d++) { score += dot(own[d], keys[key * WIDTH4 + d]); }
      let weight = weigh(score);
      for (var d = 0u; d < params.width4; d++) { result[d] += weight * values[key * WIDTH4 + d]; }
    }
    workgroupBarrier();
  }
  if (place.head < params.heads) { finish(place); }
}
