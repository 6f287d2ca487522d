// C = op(A) op(B) + bias on the matrix unit of a GPU: float16 operands, float32 sums and results. A tile of C, 2 x 2
// subgroups of ROWS x COLUMNS result matrices, is staged through workgroup memory in slices of 32 along K.
//
// Layout       op(A) [M, K], op(B) [K, N] float16, C [M, N] float32, row-major. Each begins at `*_start`, its stored rows
//              are `*_row` elements apart, the matrices of a batch `*_batch` (0: one for all). LEFT_BY_K: A is stored
//              [K, M]; RIGHT_BY_COLUMN: B is stored [N, K]. bias: [N] from `bias_start`.
//              accumulate: C += (products cut along K).
// VEC_A, VEC_B the operand begins, and its rows and matrices follow each other, at multiples of 8: 16 bytes at a time.
// Splits       workgroup z has batch z % batches and steps split_k * (z / batches) on of K; matrix z of C is its own.
// Grid         x: column tiles, y: row tiles, z: batches * splits. THREADS threads; see shared/matrix_unit.wgsl for the rest.
// Host         M, N > 0; with K = 0, C is the bias or 0. split_k is a multiple of 8.
// Edges        the staged slices are 0 beyond the operands; C is stored inside its bounds only.
// Determinism  K slice by slice, in the unit's own order within; one writer per element of C.
import package::shared::matmul_params::Params;
import package::shared::matrix_unit::M;
import package::shared::matrix_unit::N;
import package::shared::matrix_unit::GROUPS;
import package::shared::matrix_unit::THREADS;
import package::shared::matrix_unit::floats;
import package::shared::matrix_unit::put8;
import package::shared::matrix_unit::first8;
import package::shared::matrix_unit::present;
import package::shared::matrix_unit::store_result;
@if(emulated) import package::shared::matrix_unit::emulated_subgroup;
import package::shared::matrix_tile::SLICE;
import package::shared::matrix_tile::PAD;
import package::shared::matrix_tile::MOST_COLUMNS;
import package::shared::matrix_tile::ROWS;
import package::shared::matrix_tile::COLUMNS;
import package::shared::matrix_tile::LEFT_BY_K;
import package::shared::matrix_tile::RIGHT_BY_COLUMN;
import package::shared::matrix_tile::Results;
import package::shared::matrix_tile::tile_rows;
import package::shared::matrix_tile::tile_columns;
import package::shared::matrix_tile::right_at;
import package::shared::matrix_tile::add_slice;
import package::shared::matrix_tile::place_in_tile;

override VEC_A: bool = false;
override VEC_B: bool = false;
override BIAS: bool = false;

@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read> a8: array<vec4<u32>>; // a, eight at a time
@group(0) @binding(2) var<storage, read> b: array<f16>;
@group(0) @binding(3) var<storage, read> b8: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

// Eight elements from `at`, of which `count` exist; 0 for the others.
fn load_a(at: u32, count: u32) -> vec4<u32> {
  if (count == 0u) { return vec4<u32>(0u); }
  if (VEC_A) { return first8(a8[at / 8u], count); }
  var packed = vec4<u32>(0u);
  for (var i = 0u; i < count; i++) {
    packed[i / 2u] |= bitcast<u32>(vec2<f16>(a[at + i], 0.0h)) << (16u * (i % 2u));
  }
  return packed;
}

fn load_b(at: u32, count: u32) -> vec4<u32> {
  if (count == 0u) { return vec4<u32>(0u); }
  if (VEC_B) { return first8(b8[at / 8u], count); }
  var packed = vec4<u32>(0u);
  for (var i = 0u; i < count; i++) {
    packed[i / 2u] |= bitcast<u32>(vec2<f16>(b[at + i], 0.0h)) << (16u * (i % 2u));
  }
  return packed;
}

fn stage(row0: u32, column0: u32, k0: u32, k_end: u32, batch: u32, thread: u32) {
  let a_base = params.a_start + batch * params.a_batch;
  let b_base = params.b_start + batch * params.b_batch;
  // Neighbouring threads read neighbouring addresses, whichever way the operand is stored.
  for (var i = thread; i < tile_rows() * SLICE / 8u; i += THREADS) {
    if (LEFT_BY_K) {
      let k = i / (tile_rows() / 8u);
      let r = 8u * (i % (tile_rows() / 8u));
      let count = select(0u, present(row0 + r, params.m), k0 + k < k_end);
      put8(k * (tile_rows() + PAD) + r, load_a(a_base + (k0 + k) * params.a_row + row0 + r, count));
    } else {
      let r = i / (SLICE / 8u);
      let k = 8u * (i % (SLICE / 8u));
      let count = select(0u, present(k0 + k, k_end), row0 + r < params.m);
      put8(r * (SLICE + PAD) + k, load_a(a_base + (row0 + r) * params.a_row + k0 + k, count));
    }
  }
  for (var i = thread; i < tile_columns() * SLICE / 8u; i += THREADS) {
    if (RIGHT_BY_COLUMN) {
      let column = i / (SLICE / 8u);
      let k = 8u * (i % (SLICE / 8u));
      let count = select(0u, present(k0 + k, k_end), column0 + column < params.n);
      let at = b_base + (column0 + column) * params.b_row + k0 + k;
      put8(right_at() + column * (SLICE + PAD) + k, load_b(at, count));
    } else {
      let k = i / (tile_columns() / 8u);
      let column = 8u * (i % (tile_columns() / 8u));
      let count = select(0u, present(column0 + column, params.n), k0 + k < k_end);
      let at = b_base + (k0 + k) * params.b_row + column0 + column;
      put8(right_at() + k * (tile_columns() + PAD) + column, load_b(at, count));
    }
  }
}

@compute @workgroup_size(THREADS)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
  @if(!emulated) @builtin(subgroup_id) subgroup: u32,
) {
  @if(emulated) let subgroup = emulated_subgroup(thread);
  var results: Results;
  let row0 = group.y * tile_rows();
  let column0 = group.x * tile_columns();
  let begin = (group.z / params.batches) * params.split_k;
  let end = min(params.k, begin + params.split_k);
  for (var k0 = begin; k0 < end; k0 += SLICE) {
    stage(row0, column0, k0, end, group.z % params.batches, thread);
    workgroupBarrier();
    if (subgroup < GROUPS) { add_slice(&results, subgroup); }
    workgroupBarrier();
  }
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < COLUMNS; j++) {
      if (subgroup < GROUPS) { store_result(subgroup * M * N, N, results[i * MOST_COLUMNS + j]); }
      workgroupBarrier();
      for (var e = thread; e < GROUPS * M * N; e += THREADS) {
        let place = place_in_tile(e, i, j);
        let row = row0 + place.x;
        let column = column0 + place.y;
        if (row < params.m && column < params.n) {
          let at = params.c_start + group.z * params.c_batch + row * params.c_row + column;
          var value = floats[e];
          if (BIAS) { value += bias[params.bias_start + column]; }
          if (params.accumulate != 0u) { value += c[at]; }
          c[at] = value;
        }
      }
      workgroupBarrier();
    }
  }
}
