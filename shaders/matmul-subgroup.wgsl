// C = op(A) op(B) + bias for CPU rasterisers (lavapipe, SwiftShader): a workgroup is one subgroup, there
// is no workgroup memory and no barrier. Each lane owns 4 rows of A and 4 columns of B, loads
// 4 x 4 blocks of both, and hands its block of B round by subgroupBroadcast, so that every lane
// accumulates 4 rows x (4 * LANES) columns of C in registers.
//
// Why          on these drivers a load whose address differs per lane is a scalar load per lane with a branch; a
//              broadcast is one permute. 2-3x a register tile with uniform loads, 5x a workgroup-memory tile.
// Layout       op(A) [M, K], op(B) [K, N], C [M, N] row-major float32. Each begins at `*_start`, its stored rows
//              are `*_row` elements apart, the matrices of a batch `*_batch` (0: one for all).
//              TRANS_A: A is stored [K, M]; TRANS_B: B is stored [N, K]. bias: [N] from `bias_start`.
//              accumulate: C += (products cut along K).
// VEC_A, VEC_B the operand's stored rows begin at multiples of 4, and are as long where M or N runs along them:
//              vec4 loads. Else four guarded scalar loads.
// Grid         x: column tiles of 4 * LANES, y: row tiles of 4 * LANES, z: batch. workgroup = LANES = subgroup size.
// Host         LANES is the device's one subgroup size, 4 or 8; M, N > 0; with K = 0, C is the bias or 0.
// Edges        rows and columns beyond the end read the last ones and are not stored.
// Determinism  K is walked in order; one writer per element of C.
import package::shared::outer_product::outer;
enable subgroups;

override LANES: u32 = 8u;
override TRANS_A: bool = false;
override TRANS_B: bool = false;
override VEC_A: bool = false;
override VEC_B: bool = false;
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
@group(0) @binding(1) var<storage, read> a4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> b4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
@group(0) @binding(7) var<storage, read_write> out4: array<vec4<f32>>; // c, in multiply4

// Four consecutive elements of A from `at`; `count` of them exist.
fn load_a(at: u32, count: u32) -> vec4<f32> {
  if (VEC_A) { return a4[at / 4u]; }
  let last = at + count - 1u;
  return vec4<f32>(a[at], a[min(at + 1u, last)], a[min(at + 2u, last)], a[min(at + 3u, last)]);
}

fn load_b(at: u32, count: u32) -> vec4<f32> {
  if (VEC_B) { return b4[at / 4u]; }
  let last = at + count - 1u;
  return vec4<f32>(b[at], b[min(at + 1u, last)], b[min(at + 2u, last)], b[min(at + 3u, last)]);
}

// Rows r .. r + 3 of op(A), columns k .. k + 3, one vec4 per column; whatever is there beyond K.
fn block_a(base: u32, r: u32, k: u32) -> mat4x4<f32> {
  let k_left = params.k - k;
  var left = mat4x4<f32>();
  if (TRANS_A) {
    let row = min(r, select(params.m - 1u, params.m - 4u, VEC_A));
    let count = params.m - row;
    let last = params.k - 1u;
    left = mat4x4<f32>(
      load_a(base + k * params.a_row + row, count),
      load_a(base + min(k + 1u, last) * params.a_row + row, count),
      load_a(base + min(k + 2u, last) * params.a_row + row, count),
      load_a(base + min(k + 3u, last) * params.a_row + row, count),
    );
  } else {
    let last = params.m - 1u;
    left = transpose(mat4x4<f32>(
      load_a(base + min(r, last) * params.a_row + k, k_left),
      load_a(base + min(r + 1u, last) * params.a_row + k, k_left),
      load_a(base + min(r + 2u, last) * params.a_row + k, k_left),
      load_a(base + min(r + 3u, last) * params.a_row + k, k_left),
    ));
  }
  return left;
}

// Rows k .. k + 3 of op(B), columns s .. s + 3, one vec4 per row; whatever is there beyond K.
fn block_b(base: u32, s: u32, k: u32) -> mat4x4<f32> {
  if (TRANS_B) {
    let k_left = params.k - k;
    let last = params.n - 1u;
    return transpose(mat4x4<f32>(
      load_b(base + min(s, last) * params.b_row + k, k_left),
      load_b(base + min(s + 1u, last) * params.b_row + k, k_left),
      load_b(base + min(s + 2u, last) * params.b_row + k, k_left),
      load_b(base + min(s + 3u, last) * params.b_row + k, k_left),
    ));
  }
  let column = min(s, select(params.n - 1u, params.n - 4u, VEC_B));
  let count = params.n - column;
  let last = params.k - 1u;
  return mat4x4<f32>(
    load_b(base + k * params.b_row + column, count),
    load_b(base + min(k + 1u, last) * params.b_row + column, count),
    load_b(base + min(k + 2u, last) * params.b_row + column, count),
    load_b(base + min(k + 3u, last) * params.b_row + column, count),
  );
}

// The tile of this lane: 4 rows from `row`, blocks of 4 columns from `first_column`, in registers until the end of K.
fn product(row: u32, first_column: u32, batch: u32, lane: u32) -> array<mat4x4<f32>, 8> {
  let a_base = params.a_start + batch * params.a_batch;
  let b_base = params.b_start + batch * params.b_batch;
  var c0 = mat4x4<f32>();
  var c1 = mat4x4<f32>();
  var c2 = mat4x4<f32>();
  var c3 = mat4x4<f32>();
  var c4 = mat4x4<f32>();
  var c5 = mat4x4<f32>();
  var c6 = mat4x4<f32>();
  var c7 = mat4x4<f32>();
  for (var k = 0u; k < params.k; k += 4u) {
    var left = block_a(a_base, row, k);
    var right = block_b(b_base, first_column + 4u * lane, k);
    // A loop, not four copies: the first dispatch compiles this, and four times the code is four times the wait.
    for (var steps = min(4u, params.k - k); steps > 0u; steps--) {
      c0 = outer(c0, left[0], subgroupBroadcast(right[0], 0u));
      c1 = outer(c1, left[0], subgroupBroadcast(right[0], 1u));
      c2 = outer(c2, left[0], subgroupBroadcast(right[0], 2u));
      c3 = outer(c3, left[0], subgroupBroadcast(right[0], 3u));
      if (LANES > 4u) {
        c4 = outer(c4, left[0], subgroupBroadcast(right[0], 4u));
        c5 = outer(c5, left[0], subgroupBroadcast(right[0], 5u));
        c6 = outer(c6, left[0], subgroupBroadcast(right[0], 6u));
        c7 = outer(c7, left[0], subgroupBroadcast(right[0], 7u));
      }
      left = mat4x4<f32>(left[1], left[2], left[3], left[0]);
      right = mat4x4<f32>(right[1], right[2], right[3], right[0]);
    }
  }
  return array<mat4x4<f32>, 8>(c0, c1, c2, c3, c4, c5, c6, c7);
}

@compute @workgroup_size(LANES)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.y * LANES + lane) * 4u;
  let first_column = group.x * LANES * 4u;
  // Through an array and one small loop: 128 stores written out would take longer to compile than all the rest.
  var tile = product(row, first_column, group.z, lane);
  let c_base = params.c_start + group.z * params.c_batch;
  for (var e = 0u; e < 16u * LANES; e++) {
    let r = row + (e / 4u) % 4u;
    let s = first_column + 4u * (e / 16u) + e % 4u;
    if (r < params.m && s < params.n) {
      let at = c_base + r * params.c_row + s;
      var value = tile[e / 16u][(e / 4u) % 4u][e % 4u];
      if (BIAS) { value += bias[params.bias_start + s]; }
      if (params.accumulate != 0u) { value += c[at]; }
      c[at] = value;
    }
  }
}

// The same where the rows of C begin at multiples of 4 and are as long: a product with few steps of K is mostly stores.
@compute @workgroup_size(LANES)
fn multiply4(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.y * LANES + lane) * 4u;
  let first_column = group.x * LANES * 4u;
  var tile = product(row, first_column, group.z, lane);
  let c_base = params.c_start + group.z * params.c_batch;
  for (var e = 0u; e < 4u * LANES; e++) {
    let r = row + e % 4u;
    let s = first_column + 4u * (e / 4u);
    if (r < params.m && s < params.n) {
      let at = (c_base + r * params.c_row + s) / 4u;
      var value = tile[e / 4u][e % 4u];
      if (BIAS) {
        let first = params.bias_start + s;
        value += vec4<f32>(bias[first], bias[first + 1u], bias[first + 2u], bias[first + 3u]);
      }
      if (params.accumulate != 0u) { value += out4[at]; }
      out4[at] = value;
    }
  }
}
