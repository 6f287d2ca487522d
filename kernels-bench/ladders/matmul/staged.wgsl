// C = A B in tiles of 64 x 64: 256 threads load 16 steps of K into workgroup memory, and have 4 x 4 outputs each.
//
// Layout       a [m, k], b [k, n], c [m, n] contiguous float32; n and k multiples of 4.
// Grid         x: 64 columns, y: 64 rows.
// Edges        rows and columns beyond the end read the last ones and are not stored; steps beyond K are 0.
// Determinism  K is walked in order; one writer per element.
const SLICE4 = 4u;

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<storage, read> a4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c4: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> rows: array<vec4<f32>, 256>; // [row][step / 4]
var<workgroup> columns: array<vec4<f32>, 256>; // [step][column / 4]

@compute @workgroup_size(16, 16)
fn staged(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let steps = params.k / 4u;
  let width = params.n / 4u;
  let row = min(group.y * 64u + index / SLICE4, params.m - 1u);
  let column = min(group.x * 16u + index % 16u, width - 1u);
  var sum = mat4x4<f32>();
  for (var first = 0u; first < steps; first += SLICE4) {
    let quad = first + index % SLICE4;
    let step = 4u * first + index / 16u;
    rows[index] = select(vec4<f32>(), a4[row * steps + min(quad, steps - 1u)], quad < steps);
    columns[index] = select(vec4<f32>(), b4[min(step, params.k - 1u) * width + column], step < params.k);
    workgroupBarrier();
    for (var k = 0u; k < SLICE4; k++) {
      let r = 4u * thread.y * SLICE4 + k;
      let s = 64u * k + thread.x;
      let left = mat4x4<f32>(rows[r], rows[r + SLICE4], rows[r + 2u * SLICE4], rows[r + 3u * SLICE4]);
      sum += mat4x4<f32>(columns[s], columns[s + 16u], columns[s + 32u], columns[s + 48u]) * left;
    }
    workgroupBarrier();
  }
  let top = group.y * 64u + 4u * thread.y;
  let at = group.x * 16u + thread.x;
  for (var r = 0u; r < 4u; r++) {
    if (top + r < params.m && at < width) { c4[(top + r) * width + at] = sum[r]; }
  }
}
