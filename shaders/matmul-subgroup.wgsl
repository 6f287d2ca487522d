// C = op(A) op(B) + bias for CPU rasterisers (lavapipe, SwiftShader): a workgroup is one subgroup, there
// is no workgroup memory and no barrier. Each lane owns 4 rows of A and loads 4 steps of K of them; the columns of B
// are loaded by all lanes together, each a part, and handed round by subgroupShuffle, so that every lane
// accumulates 4 rows x (4 * BLOCKS) columns of C in registers.
//
// Why          on these drivers a load whose address differs per lane is a scalar load per lane with a branch, and inside a
//              loop so is one whose address does not; a shuffle is one permute. Loops are masked there: each
//              change of a variable costs a blend beside the load and the store of an accumulator. So all four
//              steps of K go into a block of C at once, as a product of two 4 x 4 matrices. What is larger
//              than the code of one round of the loop (25 KB) falls out of the instruction cache.
// Layout       op(A) [M, K], op(B) [K, N], C [M, N] row-major float32. Each begins at `*_start`, its stored rows
//              are `*_row` elements apart, the matrices of a batch `*_batch` (0: one for all).
//              TRANS_A: A is stored [K, M]; TRANS_B: B is stored [N, K]; TRANS_C: C is stored [N, M], with `multiply`.
//              bias: from `bias_start`, along the stored rows of C. accumulate: C += (products cut along K).
// BLOCKS       blocks of 4 columns in a tile: LANES, where each lane loads 4 columns of B, or LANES / 2 for few columns,
//              where it loads 2. A product of few rows comes as that of the transposed operands, with TRANS_C.
// VEC_A, VEC_B the operand's stored rows begin at multiples of 4, and are as long where M or N runs along them:
//              vec4 loads. Else four guarded scalar loads.
// texels       (`?texels`) Both operands come as textures, and a tile has 64 columns: BLOCKS = 16. The machine code of a read is a call,
//              where that of a buffer is 40 tests and 32 loads, so that the loop is a third as long and more of it can be
//              multiplications. LANES = 8; both as with VEC_A and VEC_B.
// Grid         as many workgroups as column tiles of 4 * BLOCKS (x), row tiles of 4 * LANES (y), batches (z). workgroup = LANES = subgroup size.
// Host         LANES is the device's one subgroup size, 4 or 8; M, N > 0; with K = 0, C is the bias or 0.
// Edges        rows and columns beyond the end read the last ones and are not stored; steps beyond K are 0 in both.
// Determinism  K is walked in order, by fours; one writer per element of C.
import package::shared::matmul_params::Params;
import package::shared::subgroup_block::broadcast_block;
import package::shared::texels::texel;
enable subgroups;

override LANES: u32 = 8u;
override BLOCKS: u32 = 8u;
override TRANS_A: bool = false;
override TRANS_B: bool = false;
override TRANS_C: bool = false;
override VEC_A: bool = false;
override VEC_B: bool = false;
override BIAS: bool = false;

@if(!texels) @group(0) @binding(0) var<storage, read> a: array<f32>;
@if(!texels) @group(0) @binding(1) var<storage, read> a4: array<vec4<f32>>;
@if(!texels) @group(0) @binding(2) var<storage, read> b: array<f32>;
@if(!texels) @group(0) @binding(3) var<storage, read> b4: array<vec4<f32>>;
@if(texels) @group(0) @binding(0) var a_texels: texture_storage_2d<rgba32float, read>;
@if(texels) @group(0) @binding(1) var b_texels: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
@group(0) @binding(7) var<storage, read_write> out4: array<vec4<f32>>; // c, in multiply4

@if(texels) alias Tile = array<mat4x4<f32>, 16>;
@else alias Tile = array<mat4x4<f32>, 8>;

@if(texels)
fn load_a(at: u32, count: u32) -> vec4<f32> {
  return textureLoad(a_texels, texel(at / 4u));
}

@if(texels)
fn load_b(at: u32, count: u32) -> vec4<f32> {
  return textureLoad(b_texels, texel(at / 4u));
}

// Four consecutive elements of A from `at`; `count` of them exist.
@if(!texels)
fn load_a(at: u32, count: u32) -> vec4<f32> {
  if (VEC_A) { return a4[at / 4u]; }
  let last = at + count - 1u;
  return vec4<f32>(a[at], a[min(at + 1u, last)], a[min(at + 2u, last)], a[min(at + 3u, last)]);
}

@if(!texels)
fn load_b(at: u32, count: u32) -> vec4<f32> {
  if (VEC_B) { return b4[at / 4u]; }
  let last = at + count - 1u;
  return vec4<f32>(b[at], b[min(at + 1u, last)], b[min(at + 2u, last)], b[min(at + 3u, last)]);
}

// Of four steps from `k`, those before the end of K; what lies beyond counts as 0 in both operands, whatever is there.
fn within(values: vec4<f32>, k: u32) -> vec4<f32> {
  let steps = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
  return select(vec4<f32>(), values, steps < vec4<u32>(params.k));
}

// Row r of op(A), or (TRANS_A) rows r .. r + 3 of its column k.
fn row_of_a(base: u32, r: u32, k: u32) -> vec4<f32> {
  return within(load_a(base + min(r, params.m - 1u) * params.a_row + k, params.k - k), k);
}

fn step_of_a(base: u32, r: u32, k: u32) -> vec4<f32> {
  let values = load_a(base + min(k, params.k - 1u) * params.a_row + r, params.m - r);
  return select(vec4<f32>(), values, k < params.k);
}

// Rows r .. r + 3 of op(A), one vec4 along K for each.
fn block_a(base: u32, r: u32, k: u32) -> mat4x4<f32> {
  if (TRANS_A) {
    let row = min(r, select(params.m - 1u, params.m - 4u, VEC_A));
    return transpose(mat4x4<f32>(
      step_of_a(base, row, k),
      step_of_a(base, row, k + 1u),
      step_of_a(base, row, k + 2u),
      step_of_a(base, row, k + 3u),
    ));
  }
  return mat4x4<f32>(
    row_of_a(base, r, k),
    row_of_a(base, r + 1u, k),
    row_of_a(base, r + 2u, k),
    row_of_a(base, r + 3u, k),
  );
}

// Column s of op(B) (TRANS_B), or columns s .. s + 3 of its row k.
fn column_of_b(base: u32, s: u32, k: u32) -> vec4<f32> {
  return within(load_b(base + min(s, params.n - 1u) * params.b_row + k, params.k - k), k);
}

fn step_of_b(base: u32, s: u32, k: u32) -> vec4<f32> {
  let column = min(s, select(params.n - 1u, params.n - 4u, VEC_B));
  let values = load_b(base + min(k, params.k - 1u) * params.b_row + column, params.n - column);
  return select(vec4<f32>(), values, k < params.k);
}

// This lane's part of four steps of op(B) in the columns of the tile, which begin at s: 4 columns, a vec4 for
// each step;
fn part_of_b(base: u32, s: u32, k: u32, lane: u32) -> mat4x4<f32> {
  let own = s + 4u * lane;
  if (TRANS_B) {
    return transpose(mat4x4<f32>(
      column_of_b(base, own, k),
      column_of_b(base, own + 1u, k),
      column_of_b(base, own + 2u, k),
      column_of_b(base, own + 3u, k),
    ));
  }
  return mat4x4<f32>(
    step_of_b(base, own, k),
    step_of_b(base, own, k + 1u),
    step_of_b(base, own, k + 2u),
    step_of_b(base, own, k + 3u),
  );
}

// or, of a narrow tile, two vec4s: columns 2 * lane and the next along K, or 4 columns of one step and of the step after next.
fn narrow_part_of_b(base: u32, s: u32, k: u32, lane: u32) -> mat2x4<f32> {
  if (TRANS_B) {
    let own = s + 2u * lane;
    return mat2x4<f32>(column_of_b(base, own, k), column_of_b(base, own + 1u, k));
  }
  let own = s + 4u * (lane % BLOCKS);
  let step = k + lane / BLOCKS;
  return mat2x4<f32>(step_of_b(base, own, step), step_of_b(base, own, step + 2u));
}

// Block i of op(B) in the tile, the same in all lanes: 4 columns, a vec4 for each of the four steps. Of a whole part it is
// broadcast_block(part, i); of a narrow one:
fn narrow_block_b(part: mat2x4<f32>, i: u32) -> mat4x4<f32> {
  if (TRANS_B) {
    return transpose(mat4x4<f32>(
      subgroupShuffle(part[0], 2u * i),
      subgroupShuffle(part[1], 2u * i),
      subgroupShuffle(part[0], 2u * i + 1u),
      subgroupShuffle(part[1], 2u * i + 1u),
    ));
  }
  return mat4x4<f32>(
    subgroupShuffle(part[0], i),
    subgroupShuffle(part[0], i + BLOCKS),
    subgroupShuffle(part[1], i),
    subgroupShuffle(part[1], i + BLOCKS),
  );
}

// The tile of this lane: 4 rows from `row`, blocks of 4 columns from `first_column`, in registers until the end of K.
fn product(row: u32, first_column: u32, batch: u32, lane: u32) -> Tile {
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
  @if(texels) var d0 = mat4x4<f32>();
  @if(texels) var d1 = mat4x4<f32>();
  @if(texels) var d2 = mat4x4<f32>();
  @if(texels) var d3 = mat4x4<f32>();
  @if(texels) var d4 = mat4x4<f32>();
  @if(texels) var d5 = mat4x4<f32>();
  @if(texels) var d6 = mat4x4<f32>();
  @if(texels) var d7 = mat4x4<f32>();
  for (var k = 0u; k < params.k; k += 4u) {
    let left = block_a(a_base, row, k);
    if (BLOCKS < LANES) {
      let right = narrow_part_of_b(b_base, first_column, k, lane);
      c0 += narrow_block_b(right, 0u) * left;
      c1 += narrow_block_b(right, 1u) * left;
      if (BLOCKS > 2u) {
        c2 += narrow_block_b(right, 2u) * left;
        c3 += narrow_block_b(right, 3u) * left;
      }
    } else {
      let right = part_of_b(b_base, first_column, k, lane);
      c0 += broadcast_block(right, 0u) * left;
      c1 += broadcast_block(right, 1u) * left;
      c2 += broadcast_block(right, 2u) * left;
      c3 += broadcast_block(right, 3u) * left;
      if (BLOCKS > 4u) {
        c4 += broadcast_block(right, 4u) * left;
        c5 += broadcast_block(right, 5u) * left;
        c6 += broadcast_block(right, 6u) * left;
        c7 += broadcast_block(right, 7u) * left;
      }
    }
    @if(texels) let more = part_of_b(b_base, first_column + 4u * LANES, k, lane);
    @if(texels) d0 += broadcast_block(more, 0u) * left;
    @if(texels) d1 += broadcast_block(more, 1u) * left;
    @if(texels) d2 += broadcast_block(more, 2u) * left;
    @if(texels) d3 += broadcast_block(more, 3u) * left;
    @if(texels) d4 += broadcast_block(more, 4u) * left;
    @if(texels) d5 += broadcast_block(more, 5u) * left;
    @if(texels) d6 += broadcast_block(more, 6u) * left;
    @if(texels) d7 += broadcast_block(more, 7u) * left;
  }
  @if(texels) return Tile(c0, c1, c2, c3, c4, c5, c6, c7, d0, d1, d2, d3, d4, d5, d6, d7);
  @else return Tile(c0, c1, c2, c3, c4, c5, c6, c7);
}

// Which tile a workgroup has (column, row). Tiles are walked in panels of so many columns that the operand B of a panel (512 KB) stays in
// the cache of a core, each panel from the first row to the last.
fn tile_of(group: vec3<u32>, groups: vec3<u32>) -> vec2<u32> {
  let most = max(1u, 32768u / (BLOCKS * max(1u, params.k)));
  let index = group.y * groups.x + group.x;
  let panel = index / (most * groups.y);
  let within_panel = index % (most * groups.y);
  let width = min(most, groups.x - panel * most);
  return vec2<u32>(panel * most + within_panel % width, within_panel / width);
}

@compute @workgroup_size(LANES)
fn multiply(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = tile_of(group, groups);
  let row = (place.y * LANES + lane) * 4u;
  let first_column = place.x * BLOCKS * 4u;
  // Through an array and one small loop: hundreds of stores written out would take longer to compile than all the rest.
  var tile = product(row, first_column, group.z, lane);
  let c_base = params.c_start + group.z * params.c_batch;
  for (var e = 0u; e < 16u * BLOCKS; e++) {
    let r = row + (e / 4u) % 4u;
    let s = first_column + 4u * (e / 16u) + e % 4u;
    if (r < params.m && s < params.n) {
      let along = select(s, r, TRANS_C);
      let at = c_base + select(r, s, TRANS_C) * params.c_row + along;
      var value = tile[e / 16u][(e / 4u) % 4u][e % 4u];
      if (BIAS) { value += bias[params.bias_start + along]; }
      if (params.accumulate != 0u) { value += c[at]; }
      c[at] = value;
    }
  }
}

// The same where the rows of C begin at multiples of 4 and are as long: a product with few steps of K is mostly stores.
@compute @workgroup_size(LANES)
fn multiply4(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = tile_of(group, groups);
  let row = (place.y * LANES + lane) * 4u;
  let first_column = place.x * BLOCKS * 4u;
  var tile = product(row, first_column, group.z, lane);
  let c_base = params.c_start + group.z * params.c_batch;
  for (var e = 0u; e < 4u * BLOCKS; e++) {
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
