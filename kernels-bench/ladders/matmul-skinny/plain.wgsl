// C = X Wᵀ without sharing: an output per thread, or a tile of 4 rows x 4 columns of them.
//
// Layout       x [m, k], w [n, k], c [m, n] contiguous float32; k a multiple of 4 (vec4s).
// Grid         x: columns, 1 or 4 to a thread, WORKGROUP threads; y: rows, 1 or 4.
// Edges        rows and columns beyond the end read the last ones and are not stored.
// Determinism  K is walked in order; one writer per element.
override WORKGROUP: u32 = 64u;

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> w4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn each(@builtin(global_invocation_id) thread: vec3<u32>) {
  if (thread.x >= params.n) { return; }
  var sum = 0.0;
  for (var k = 0u; k < params.k; k++) {
    sum += x[thread.y * params.k + k] * w[thread.x * params.k + k];
  }
  c[thread.y * params.n + thread.x] = sum;
}

@compute @workgroup_size(WORKGROUP)
fn tile(@builtin(global_invocation_id) thread: vec3<u32>) {
  let steps = params.k / 4u;
  let row = thread.y * 4u;
  let column = thread.x * 4u;
  let r = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.m - 1u)) * steps;
  let s = min(vec4<u32>(column, column + 1u, column + 2u, column + 3u), vec4<u32>(params.n - 1u)) * steps;
  var sum = mat4x4<f32>();
  for (var k = 0u; k < steps; k++) {
    let left = mat4x4<f32>(x4[r.x + k], x4[r.y + k], x4[r.z + k], x4[r.w + k]);
    sum += transpose(mat4x4<f32>(w4[s.x + k], w4[s.y + k], w4[s.z + k], w4[s.w + k])) * left;
  }
  for (var e = 0u; e < 4u * min(4u, params.m - min(row, params.m)); e++) {
    if (column + e % 4u < params.n) { c[(row + e / 4u) * params.n + column + e % 4u] = sum[e / 4u][e % 4u]; }
  }
}
