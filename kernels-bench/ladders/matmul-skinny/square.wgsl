// C = X Wᵀ in the tiles of 4 * LANES squared of the large product: a lane has 4 rows of X, and loads 4 of W, which it hands
// to the other lanes. Of 16 rows, half of the lanes have none.
//
// Layout       x [m, k], w [n, k], c [m, n] contiguous float32; k a multiple of 4.
// Grid         x: 4 * LANES columns, y: 4 * LANES rows. workgroup = LANES = subgroup size, 4 or 8.
// Edges        rows and columns beyond the end read the last ones and are not stored.
// Determinism  K is walked in order; one writer per element.
enable subgroups;

override LANES: u32 = 8u;

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn broadcast(part: mat4x4<f32>, lane: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    subgroupShuffle(part[0], lane),
    subgroupShuffle(part[1], lane),
    subgroupShuffle(part[2], lane),
    subgroupShuffle(part[3], lane),
  );
}

@compute @workgroup_size(LANES)
fn square(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let steps = params.k / 4u;
  let row = (group.y * LANES + lane) * 4u;
  let first = group.x * LANES * 4u;
  let column = first + 4u * lane;
  let r = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.m - 1u)) * steps;
  let s = min(vec4<u32>(column, column + 1u, column + 2u, column + 3u), vec4<u32>(params.n - 1u)) * steps;
  var c0 = mat4x4<f32>();
  var c1 = mat4x4<f32>();
  var c2 = mat4x4<f32>();
  var c3 = mat4x4<f32>();
  var c4 = mat4x4<f32>();
  var c5 = mat4x4<f32>();
  var c6 = mat4x4<f32>();
  var c7 = mat4x4<f32>();
  for (var k = 0u; k < steps; k++) {
    let left = mat4x4<f32>(x4[r.x + k], x4[r.y + k], x4[r.z + k], x4[r.w + k]);
    let right = transpose(mat4x4<f32>(w4[s.x + k], w4[s.y + k], w4[s.z + k], w4[s.w + k]));
    c0 += broadcast(right, 0u) * left;
    c1 += broadcast(right, 1u) * left;
    c2 += broadcast(right, 2u) * left;
    c3 += broadcast(right, 3u) * left;
    if (LANES > 4u) {
      c4 += broadcast(right, 4u) * left;
      c5 += broadcast(right, 5u) * left;
      c6 += broadcast(right, 6u) * left;
      c7 += broadcast(right, 7u) * left;
    }
  }
  var tile = array<mat4x4<f32>, 8>(c0, c1, c2, c3, c4, c5, c6, c7);
  for (var e = 0u; e < 16u * LANES; e++) {
    let at = vec2<u32>(first + 4u * (e / 16u) + e % 4u, row + (e / 4u) % 4u);
    if (at.y < params.m && at.x < params.n) { c[at.y * params.n + at.x] = tile[e / 16u][(e / 4u) % 4u][e % 4u]; }
  }
}
