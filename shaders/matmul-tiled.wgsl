// C = op(A) op(B) + bias for GPUs: 64 x 64 tiles of C, staged through workgroup memory in slices of 16
// along K; each of 256 threads accumulates a 4 x 4 block in registers.
//
// Layout       op(A) [M, K], op(B) [K, N], C [M, N] row-major float32. Each begins at `*_start`, its stored rows
//              are `*_row` elements apart, the matrices of a batch `*_batch` (0: one for all).
//              TRANS_A: A is stored [K, M]; TRANS_B: B is stored [N, K]. bias: [N] from `bias_start`.
//              accumulate: C += (products cut along K).
// Grid         x: column tiles of 64, y: row tiles of 64, z: batch. 16 x 16 threads, 8.5 KiB of workgroup memory.
// Host         M, N > 0; with K = 0, C is the bias or 0.
// Edges        the staged slices are 0 beyond the operands; C is stored inside its bounds only.
// Determinism  K is walked in order; one writer per element of C.
override TRANS_A: bool = false;
override TRANS_B: bool = false;
override BIAS: bool = false;

struct Params {
  m: u32,
  n: u32,
  k: u32,
  a_start: u32,
  a_row: u32,
  a_batch: u32,
  b_start: u32,
  b_row: u32,
  b_batch: u32,
  c_start: u32,
  c_row: u32,
  c_batch: u32,
  bias_start: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

const TILE = 64u;
const SLICE = 16u;
const PAD = 68u; // a row of 64 plus 4: neighbouring K rows fall into different banks
var<workgroup> left: array<f32, 1088>; // [SLICE][PAD] of op(A), transposed
var<workgroup> right: array<f32, 1088>; // [SLICE][PAD] of op(B)

@compute @workgroup_size(16, 16)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row0 = group.y * TILE;
  let column0 = group.x * TILE;
  let a_base = params.a_start + group.z * params.a_batch;
  let b_base = params.b_start + group.z * params.b_batch;
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  for (var k0 = 0u; k0 < params.k; k0 += SLICE) {
    for (var i = thread; i < TILE * SLICE; i += 256u) {
      // Neighbouring threads read neighbouring addresses, whichever way the operand is stored.
      let am = select(i / SLICE, i % TILE, TRANS_A);
      let ak = select(i % SLICE, i / TILE, TRANS_A);
      let r = row0 + am;
      let ka = k0 + ak;
      let a_at = a_base + select(r * params.a_row + ka, ka * params.a_row + r, TRANS_A);
      var value = 0.0;
      if (r < params.m && ka < params.k) { value = a[a_at]; }
      left[ak * PAD + am] = value;
      let bn = select(i % TILE, i / SLICE, TRANS_B);
      let bk = select(i / TILE, i % SLICE, TRANS_B);
      let s = column0 + bn;
      let kb = k0 + bk;
      let b_at = b_base + select(kb * params.b_row + s, s * params.b_row + kb, TRANS_B);
      value = 0.0;
      if (s < params.n && kb < params.k) { value = b[b_at]; }
      right[bk * PAD + bn] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < SLICE; k++) {
      let l = k * PAD + local.y * 4u;
      let r = k * PAD + local.x * 4u;
      let column = vec4<f32>(right[r], right[r + 1u], right[r + 2u], right[r + 3u]);
      acc0 += left[l] * column;
      acc1 += left[l + 1u] * column;
      acc2 += left[l + 2u] * column;
      acc3 += left[l + 3u] * column;
    }
    workgroupBarrier();
  }
  let c_base = params.c_start + group.z * params.c_batch;
  let row = row0 + local.y * 4u;
  let column = column0 + local.x * 4u;
  let acc = array<vec4<f32>, 4>(acc0, acc1, acc2, acc3);
  for (var i = 0u; i < 4u; i++) {
    for (var j = 0u; j < 4u; j++) {
      if (row + i < params.m && column + j < params.n) {
        let at = c_base + (row + i) * params.c_row + column + j;
        var value = acc[i][j];
        if (BIAS) { value += bias[params.bias_start + column + j]; }
        if (params.accumulate != 0u) { value += c[at]; }
        c[at] = value;
      }
    }
  }
}
