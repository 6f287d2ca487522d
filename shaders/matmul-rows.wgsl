// C = op(A) op(B) + bias where op(A) has few rows (a head on a handful of bags), and wherever subgroups are
// missing: each thread owns 4 columns and 8 rows of C. The address of A is the same for all threads, so
// that it is loaded once; B is read exactly once per block of 8 rows.
//
// Layout       op(A) [M, K], op(B) [K, N], C [M, N] row-major float32. Each begins at `*_start`, its stored rows
//              are `*_row` elements apart, the matrices of a batch `*_batch` (0: one for all).
//              TRANS_A: A is stored [K, M]; TRANS_B: B is stored [N, K]. bias: [N] from `bias_start`.
//              accumulate: C += (products cut along K).
// Element      of A and B: float32, or with `?half` float16, widened when loaded.
// Grid         x: blocks of 4 * WORKGROUP columns, y: blocks of 8 rows, z: batch.
// Host         M, N > 0; with K = 0, C is the bias or 0.
// Edges        rows and columns beyond the end read the last ones and are not stored.
// Determinism  K is walked in order; one writer per element of C.
import package::shared::matmul_params::Params;
import package::shared::element::Element;
@if(half) enable f16;

override WORKGROUP: u32 = 64u;
override TRANS_A: bool = false;
override TRANS_B: bool = false;
override BIAS: bool = false;

@group(0) @binding(0) var<storage, read> a: array<Element>;
@group(0) @binding(1) var<storage, read> b: array<Element>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn element_a(base: u32, row: u32, k: u32) -> f32 {
  let r = min(row, params.m - 1u);
  if (TRANS_A) { return f32(a[base + k * params.a_row + r]); }
  return f32(a[base + r * params.a_row + k]);
}

fn element_b(base: u32, k: u32, column: u32) -> f32 {
  let s = min(column, params.n - 1u);
  if (TRANS_B) { return f32(b[base + s * params.b_row + k]); }
  return f32(b[base + k * params.b_row + s]);
}

@compute @workgroup_size(WORKGROUP)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * 8u;
  let column = (group.x * WORKGROUP + lane) * 4u;
  let a_base = params.a_start + group.z * params.a_batch;
  let b_base = params.b_start + group.z * params.b_batch;
  var c0 = vec4<f32>();
  var c1 = vec4<f32>();
  var c2 = vec4<f32>();
  var c3 = vec4<f32>();
  var c4 = vec4<f32>();
  var c5 = vec4<f32>();
  var c6 = vec4<f32>();
  var c7 = vec4<f32>();
  for (var k = 0u; k < params.k; k++) {
    let right = vec4<f32>(
      element_b(b_base, k, column),
      element_b(b_base, k, column + 1u),
      element_b(b_base, k, column + 2u),
      element_b(b_base, k, column + 3u),
    );
    c0 += element_a(a_base, row, k) * right;
    c1 += element_a(a_base, row + 1u, k) * right;
    c2 += element_a(a_base, row + 2u, k) * right;
    c3 += element_a(a_base, row + 3u, k) * right;
    c4 += element_a(a_base, row + 4u, k) * right;
    c5 += element_a(a_base, row + 5u, k) * right;
    c6 += element_a(a_base, row + 6u, k) * right;
    c7 += element_a(a_base, row + 7u, k) * right;
  }
  // Through an array and one small loop: 32 stores written out would take longer to compile than all the rest.
  var tile = array<vec4<f32>, 8>(c0, c1, c2, c3, c4, c5, c6, c7);
  let c_base = params.c_start + group.z * params.c_batch;
  for (var e = 0u; e < 4u * min(8u, params.m - row); e++) {
    let s = column + e % 4u;
    if (s < params.n) {
      let at = c_base + (row + e / 4u) * params.c_row + s;
      var value = tile[e / 4u][e % 4u];
      if (BIAS) { value += bias[params.bias_start + s]; }
      if (params.accumulate != 0u) { value += c[at]; }
      c[at] = value;
    }
  }
}
