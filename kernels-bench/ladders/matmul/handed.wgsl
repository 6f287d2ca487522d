// C = A B in tiles of 4 * LANES squared, a subgroup to each: a lane has 4 rows and loads 4 columns, which it hands
// to the other lanes. `handed` goes through K step by step, `steps` by four at once.
//
// Layout       a [m, k], b [k, n], c [m, n] contiguous float32 as vec4s; n and k multiples of 4.
// Grid         x: 4 * LANES columns, y: 4 * LANES rows. workgroup = LANES = subgroup size, 4 or 8.
// Edges        rows and columns beyond the end read the last ones and are not stored.
// Determinism  K is walked in order; one writer per element.
import package::shared::outer_product::outer;
enable subgroups;

override LANES: u32 = 8u;

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<storage, read> a4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c4: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

// 4 rows of A, one vec4 along K for each.
fn rows_of_a(row: u32, quad: u32) -> mat4x4<f32> {
  let steps = params.k / 4u;
  let last = params.m - 1u;
  return mat4x4<f32>(
    a4[min(row, last) * steps + quad],
    a4[min(row + 1u, last) * steps + quad],
    a4[min(row + 2u, last) * steps + quad],
    a4[min(row + 3u, last) * steps + quad],
  );
}

// 4 columns of B, one vec4 for each of four steps.
fn steps_of_b(column: u32, quad: u32) -> mat4x4<f32> {
  let width = params.n / 4u;
  let at = 4u * quad * width + min(column, width - 1u);
  return mat4x4<f32>(b4[at], b4[at + width], b4[at + 2u * width], b4[at + 3u * width]);
}

fn broadcast(part: mat4x4<f32>, lane: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    subgroupShuffle(part[0], lane),
    subgroupShuffle(part[1], lane),
    subgroupShuffle(part[2], lane),
    subgroupShuffle(part[3], lane),
  );
}

fn store(sums: array<mat4x4<f32>, 8>, row: u32, column: u32) {
  var tile = sums;
  let width = params.n / 4u;
  for (var e = 0u; e < 4u * LANES; e++) {
    let r = row + e % 4u;
    let s = column + e / 4u;
    if (r < params.m && s < width) { c4[r * width + s] = tile[e / 4u][e % 4u]; }
  }
}

@compute @workgroup_size(LANES)
fn handed(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * LANES + lane) * 4u;
  let column = group.x * LANES;
  var d0 = mat4x4<f32>();
  var d1 = mat4x4<f32>();
  var d2 = mat4x4<f32>();
  var d3 = mat4x4<f32>();
  var d4 = mat4x4<f32>();
  var d5 = mat4x4<f32>();
  var d6 = mat4x4<f32>();
  var d7 = mat4x4<f32>();
  for (var quad = 0u; quad < params.k / 4u; quad++) {
    var left = transpose(rows_of_a(row, quad));
    var right = steps_of_b(column + lane, quad);
    for (var steps = min(4u, params.k); steps > 0u; steps--) {
      d0 = outer(d0, left[0], subgroupShuffle(right[0], 0u));
      d1 = outer(d1, left[0], subgroupShuffle(right[0], 1u));
      d2 = outer(d2, left[0], subgroupShuffle(right[0], 2u));
      d3 = outer(d3, left[0], subgroupShuffle(right[0], 3u));
      if (LANES > 4u) {
        d4 = outer(d4, left[0], subgroupShuffle(right[0], 4u));
        d5 = outer(d5, left[0], subgroupShuffle(right[0], 5u));
        d6 = outer(d6, left[0], subgroupShuffle(right[0], 6u));
        d7 = outer(d7, left[0], subgroupShuffle(right[0], 7u));
      }
      left = mat4x4<f32>(left[1], left[2], left[3], left[0]);
      right = mat4x4<f32>(right[1], right[2], right[3], right[0]);
    }
  }
  store(array<mat4x4<f32>, 8>(d0, d1, d2, d3, d4, d5, d6, d7), row, column);
}

@compute @workgroup_size(LANES)
fn steps(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * LANES + lane) * 4u;
  let column = group.x * LANES;
  var d0 = mat4x4<f32>();
  var d1 = mat4x4<f32>();
  var d2 = mat4x4<f32>();
  var d3 = mat4x4<f32>();
  var d4 = mat4x4<f32>();
  var d5 = mat4x4<f32>();
  var d6 = mat4x4<f32>();
  var d7 = mat4x4<f32>();
  for (var quad = 0u; quad < params.k / 4u; quad++) {
    let left = rows_of_a(row, quad);
    let right = steps_of_b(column + lane, quad);
    d0 += broadcast(right, 0u) * left;
    d1 += broadcast(right, 1u) * left;
    d2 += broadcast(right, 2u) * left;
    d3 += broadcast(right, 3u) * left;
    if (LANES > 4u) {
      d4 += broadcast(right, 4u) * left;
      d5 += broadcast(right, 5u) * left;
      d6 += broadcast(right, 6u) * left;
      d7 += broadcast(right, 7u) * left;
    }
  }
  store(array<mat4x4<f32>, 8>(d0, d1, d2, d3, d4, d5, d6, d7), row, column);
}
