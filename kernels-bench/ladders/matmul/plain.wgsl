// C = A B without sharing: an output per thread, or a tile of 4 x 4 of them.
//
// Layout       a [m, k], b [k, n], c [m, n] contiguous float32; n and k multiples of 4 (vec4s).
// Grid         x: columns, 1 or 4 to a thread, WORKGROUP threads; y: rows, 1 or 4.
// Edges        rows and columns beyond the end read the last ones and are not stored.
// Determinism  K is walked in order; one writer per element.
override WORKGROUP: u32 = 64u;

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> a4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> b4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
@group(0) @binding(5) var<storage, read_write> c4: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn each(@builtin(global_invocation_id) thread: vec3<u32>) {
  let column = thread.x;
  if (column >= params.n) { return; }
  var sum = 0.0;
  for (var k = 0u; k < params.k; k++) {
    sum += a[thread.y * params.k + k] * b[k * params.n + column];
  }
  c[thread.y * params.n + column] = sum;
}

@compute @workgroup_size(WORKGROUP)
fn tile(@builtin(global_invocation_id) thread: vec3<u32>) {
  let columns = params.n / 4u;
  if (thread.x >= columns) { return; }
  let steps = params.k / 4u;
  let row = thread.y * 4u;
  let last = params.m - 1u;
  let r0 = min(row, last) * steps;
  let r1 = min(row + 1u, last) * steps;
  let r2 = min(row + 2u, last) * steps;
  let r3 = min(row + 3u, last) * steps;
  var sum = mat4x4<f32>();
  for (var k = 0u; k < steps; k++) {
    let at = 4u * k * columns + thread.x;
    let left = mat4x4<f32>(a4[r0 + k], a4[r1 + k], a4[r2 + k], a4[r3 + k]);
    sum += mat4x4<f32>(b4[at], b4[at + columns], b4[at + 2u * columns], b4[at + 3u * columns]) * left;
  }
  for (var r = 0u; r < min(4u, params.m - row); r++) { c4[(row + r) * columns + thread.x] = sum[r]; }
}
