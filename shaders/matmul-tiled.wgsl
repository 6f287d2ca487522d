// C = op(A) op(B) + bias for GPUs: tiles of C (shared/register_tile.wgsl), staged through workgroup memory in slices along K;
// where there are few tiles, K is split over workgroups, and matmul-parts adds the parts.
//
// Layout       op(A) [M, K], op(B) [K, N], C [M, N] row-major float32. Each begins at `*_start`, its stored rows
//              are `*_row` elements apart, the matrices of a batch `*_batch` (0: one for all).
//              TRANS_A: A is stored [K, M]; TRANS_B: B is stored [N, K]. bias: [N] from `bias_start`.
//              accumulate: C += (products cut along K).
// Element      of A and B: float32, or with `?half` float16, widened when loaded.
// VEC_A, VEC_B the operand's stored rows begin at multiples of 4, and are as long where M or N runs along them:
//              vec4 loads. Else four guarded scalar loads.
// multiply4    the same where the rows of C begin at multiples of 4 and are as long.
// Splits       workgroup z has batch z % batches and steps split_k * (z / batches) on of K; matrix z of C is its own.
// Grid         x: column tiles, y: row tiles, z: batches * splits. THREADS threads.
// Host         M, N > 0; with K = 0, C is the bias or 0. split_k is a multiple of 4.
// Edges        rows and columns beyond the end read the last ones and are not stored; steps beyond K are staged as 0.
// Determinism  K is walked in order; one writer per element of C.
import package::shared::matmul_params::Params;
import package::shared::element::Element;
import package::shared::register_tile::Tile;
import package::shared::register_tile::THREADS;
import package::shared::register_tile::THREADS_X;
import package::shared::register_tile::THREADS_Y;
import package::shared::register_tile::BLOCKS_X;
import package::shared::register_tile::BLOCKS_Y;
import package::shared::register_tile::SLICE;
import package::shared::register_tile::LEFT_QUADS;
import package::shared::register_tile::RIGHT_QUADS;
import package::shared::register_tile::thread_place;
import package::shared::register_tile::stage_left;
import package::shared::register_tile::stage_right;
import package::shared::register_tile::add_slice;
import package::shared::register_tile::first_steps;
@if(half) enable f16;

override TRANS_A: bool = false;
override TRANS_B: bool = false;
override VEC_A: bool = false;
override VEC_B: bool = false;
override BIAS: bool = false;

@group(0) @binding(0) var<storage, read> a: array<Element>;
@group(0) @binding(1) var<storage, read> a4: array<vec4<Element>>;
@group(0) @binding(2) var<storage, read> b: array<Element>;
@group(0) @binding(3) var<storage, read> b4: array<vec4<Element>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
@group(0) @binding(7) var<storage, read_write> out4: array<vec4<f32>>; // c, in multiply4

// Four consecutive elements of A from `at`; `count` of them exist.
fn load_a(at: u32, count: u32) -> vec4<f32> {
  if (VEC_A) { return vec4<f32>(a4[at / 4u]); }
  let last = at + count - 1u;
  return vec4<f32>(
    vec4<Element>(a[at], a[min(at + 1u, last)], a[min(at + 2u, last)], a[min(at + 3u, last)]),
  );
}

fn load_b(at: u32, count: u32) -> vec4<f32> {
  if (VEC_B) { return vec4<f32>(b4[at / 4u]); }
  let last = at + count - 1u;
  return vec4<f32>(
    vec4<Element>(b[at], b[min(at + 1u, last)], b[min(at + 2u, last)], b[min(at + 3u, last)]),
  );
}

// Rows r .. r + 3 of op(A) at steps k .. k + 3, one vec4 per step; steps from `end` on are 0.
fn block_a(base: u32, r: u32, k: u32, end: u32) -> mat4x4<f32> {
  if (k >= end) { return mat4x4<f32>(); }
  var steps = mat4x4<f32>();
  if (TRANS_A) {
    let row = min(r, select(params.m - 1u, params.m - 4u, VEC_A));
    let count = params.m - row;
    let last = end - 1u;
    steps = mat4x4<f32>(
      load_a(base + k * params.a_row + row, count),
      load_a(base + min(k + 1u, last) * params.a_row + row, count),
      load_a(base + min(k + 2u, last) * params.a_row + row, count),
      load_a(base + min(k + 3u, last) * params.a_row + row, count),
    );
  } else {
    let last = params.m - 1u;
    steps = transpose(mat4x4<f32>(
      load_a(base + min(r, last) * params.a_row + k, end - k),
      load_a(base + min(r + 1u, last) * params.a_row + k, end - k),
      load_a(base + min(r + 2u, last) * params.a_row + k, end - k),
      load_a(base + min(r + 3u, last) * params.a_row + k, end - k),
    ));
  }
  return first_steps(steps, end - k);
}

// Columns s .. s + 3 of op(B) at steps k .. k + 3, one vec4 per step; steps from `end` on are 0.
fn block_b(base: u32, s: u32, k: u32, end: u32) -> mat4x4<f32> {
  if (k >= end) { return mat4x4<f32>(); }
  var steps = mat4x4<f32>();
  if (TRANS_B) {
    let last = params.n - 1u;
    steps = transpose(mat4x4<f32>(
      load_b(base + min(s, last) * params.b_row + k, end - k),
      load_b(base + min(s + 1u, last) * params.b_row + k, end - k),
      load_b(base + min(s + 2u, last) * params.b_row + k, end - k),
      load_b(base + min(s + 3u, last) * params.b_row + k, end - k),
    ));
  } else {
    let column = min(s, select(params.n - 1u, params.n - 4u, VEC_B));
    let count = params.n - column;
    let last = end - 1u;
    steps = mat4x4<f32>(
      load_b(base + k * params.b_row + column, count),
      load_b(base + min(k + 1u, last) * params.b_row + column, count),
      load_b(base + min(k + 2u, last) * params.b_row + column, count),
      load_b(base + min(k + 3u, last) * params.b_row + column, count),
    );
  }
  return first_steps(steps, end - k);
}

const STEPS = 4u;

// Stages the slice from `k`: blocks of 4 x 4, those of A first. Neighbouring threads read neighbouring addresses, whichever
// way the operand is stored.
fn stage(a_base: u32, b_base: u32, row0: u32, column0: u32, k: u32, end: u32, thread: u32) {
  let along = SLICE / STEPS;
  for (var i = thread; i < (LEFT_QUADS + RIGHT_QUADS) * along; i += THREADS) {
    if (i < LEFT_QUADS * along) {
      let quad = select(i / along, i % LEFT_QUADS, TRANS_A);
      let step = STEPS * select(i % along, i / LEFT_QUADS, TRANS_A);
      stage_left(step, quad, block_a(a_base, row0 + 4u * quad, k + step, end));
    } else {
      let j = i - LEFT_QUADS * along;
      let quad = select(j % RIGHT_QUADS, j / along, TRANS_B);
      let step = STEPS * select(j / RIGHT_QUADS, j % along, TRANS_B);
      stage_right(step, quad, block_b(b_base, column0 + 4u * quad, k + step, end));
    }
  }
}

fn product(group: vec3<u32>, thread: u32) -> Tile {
  let batch = group.z % params.batches;
  let begin = (group.z / params.batches) * params.split_k;
  let end = min(params.k, begin + params.split_k);
  let row0 = group.y * 4u * LEFT_QUADS;
  let column0 = group.x * 4u * RIGHT_QUADS;
  let a_base = params.a_start + batch * params.a_batch;
  let b_base = params.b_start + batch * params.b_batch;
  var tile = Tile();
  for (var k = begin; k < end; k += SLICE) {
    stage(a_base, b_base, row0, column0, k, end, thread);
    workgroupBarrier();
    tile = add_slice(tile, thread_place(thread));
    workgroupBarrier();
  }
  return tile;
}

fn store_block4(four: mat4x4<f32>, row: u32, column: u32, base: u32) {
  if (column >= params.n) { return; }
  var added = vec4<f32>(0.0);
  if (BIAS) {
    let first = params.bias_start + column;
    added = vec4<f32>(bias[first], bias[first + 1u], bias[first + 2u], bias[first + 3u]);
  }
  var rows = four;
  for (var r = 0u; r < 4u; r++) {
    if (row + r < params.m) {
      let at = (base + (row + r) * params.c_row + column) / 4u;
      var value = rows[r];
      if (BIAS) { value += added; }
      if (params.accumulate != 0u) { value += out4[at]; }
      out4[at] = value;
    }
  }
}

@compute @workgroup_size(THREADS)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let tile = product(group, thread);
  let at = thread_place(thread);
  let base = params.c_start + group.z * params.c_batch;
  // Through an array and one small loop: 64 stores written out would take longer to compile than all the rest.
  var blocks = array<mat4x4<f32>, 4>(tile.c00, tile.c01, tile.c10, tile.c11);
  let rows = min(4u * BLOCKS_Y, params.m);
  for (var e = 0u; e < 4u * BLOCKS_X * rows; e++) {
    let i = e / (4u * BLOCKS_X);
    let j = e % (4u * BLOCKS_X);
    let row = 4u * (group.y * LEFT_QUADS + at.y + (i / 4u) * THREADS_Y) + i % 4u;
    let column = 4u * (group.x * RIGHT_QUADS + at.x + (j / 4u) * THREADS_X) + j % 4u;
    if (row < params.m && column < params.n) {
      let place = base + row * params.c_row + column;
      var value = blocks[2u * (i / 4u) + j / 4u][i % 4u][j % 4u];
      if (BIAS) { value += bias[params.bias_start + column]; }
      if (params.accumulate != 0u) { value += c[place]; }
      c[place] = value;
    }
  }
}

@compute @workgroup_size(THREADS)
fn multiply4(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let tile = product(group, thread);
  let at = thread_place(thread);
  let row = 4u * (group.y * LEFT_QUADS + at.y);
  let column = 4u * (group.x * RIGHT_QUADS + at.x);
  let base = params.c_start + group.z * params.c_batch;
  store_block4(tile.c00, row, column, base);
  if (BLOCKS_X > 1u) { store_block4(tile.c01, row, column + 4u * THREADS_X, base); }
  if (BLOCKS_Y > 1u) {
    store_block4(tile.c10, row + 4u * THREADS_Y, column, base);
    if (BLOCKS_X > 1u) { store_block4(tile.c11, row + 4u * THREADS_Y, column + 4u * THREADS_X, base); }
  }
}
