// The matrix unit of a GPU (tensor cores) as kernels use it: fragments of half-precision operands, products summed in
// float32. Needs `enable chromium_experimental_subgroup_matrix`, by the host's Device.matrixUnit.
//
// Conditions   m16n16k16, m8n16k16, m8n8k8: the shape, M x N results of products over K; float_operands: the unit takes
//              float32 only (Apple). The types of the extension want constants, so that these are no overrides.
//              emulated: the unit in plain WGSL, for tests on adapters without one; never shipped.
// Workgroup    GROUPS subgroups work; where subgroups come smaller than the largest size there are more of them, which
//              only help to load. The host gives THREADS = GROUPS * the largest size, as the extension demands.
// Memory       operands are in `halves`, results pass through `floats`; a kernel cuts them up as it likes. Offsets and
//              strides: multiples of 8 halves, of 4 floats (16 bytes). The host gives the sizes.
// Uniformity   calls are uniform over a subgroup; `if (subgroup < GROUPS)` is.
enable f16;
@if(!emulated) enable chromium_experimental_subgroup_matrix;

@if(m16n16k16) const M = 16u;
@else const M = 8u;
@if(m8n8k8) const N = 8u;
@else const N = 16u;
@if(m8n8k8) const K = 8u;
@else const K = 16u;

const GROUPS = 4u;
override THREADS: u32;
override HALVES: u32;
override FLOATS: u32;

@if(float_operands) alias Component = f32;
@else alias Component = f16;

var<workgroup> halves: array<Component, HALVES>;
var<workgroup> floats: array<f32, FLOATS>;

// How many of the eight elements from `first` on are before `end`.
fn present(first: u32, end: u32) -> u32 {
  return min(8u, max(first, end) - first);
}

// The first `count` of eight halves, packed in pairs; 0 behind them.
fn first8(packed: vec4<u32>, count: u32) -> vec4<u32> {
  let at = vec4<u32>(0u, 2u, 4u, 6u);
  let n = vec4<u32>(count);
  let low = select(vec4<u32>(0u), vec4<u32>(0xffffu), at < n);
  return packed & select(low, vec4<u32>(0xffffffffu), at + 1u < n);
}

// Eight halves, packed in pairs, or four, to `halves` from `at`.
fn put8(at: u32, packed: vec4<u32>) {
  for (var i = 0u; i < 4u; i++) {
    let pair = bitcast<vec2<f16>>(packed[i]);
    halves[at + 2u * i] = Component(pair.x);
    halves[at + 2u * i + 1u] = Component(pair.y);
  }
}

fn put4(at: u32, values: vec4<Component>) {
  for (var i = 0u; i < 4u; i++) { halves[at + i] = values[i]; }
}

@if(!emulated) alias Left = subgroup_matrix_left<Component, K, M>;
@if(!emulated) alias Right = subgroup_matrix_right<Component, N, K>;
@if(!emulated) alias Result = subgroup_matrix_result<f32, N, M>;

// Operands whose rows are `stride` apart; `_columns`: whose columns are, that is, stored transposed.
@if(!emulated)
fn load_left(at: u32, stride: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&halves, at, stride);
}
@if(!emulated)
fn load_left_columns(at: u32, stride: u32) -> Left {
  return subgroupMatrixLoad<Left, col_major>(&halves, at, stride);
}
@if(!emulated)
fn load_right(at: u32, stride: u32) -> Right {
  return subgroupMatrixLoad<Right, row_major>(&halves, at, stride);
}
@if(!emulated)
fn load_right_columns(at: u32, stride: u32) -> Right {
  return subgroupMatrixLoad<Right, col_major>(&halves, at, stride);
}
@if(!emulated)
fn multiply_add(left: Left, right: Right, sum: Result) -> Result {
  return subgroupMatrixMultiplyAccumulate(left, right, sum);
}
@if(!emulated)
fn store_result(at: u32, stride: u32, result: Result) {
  subgroupMatrixStore<row_major>(&floats, at, result, stride);
}

// Emulated: an operand stays in `halves` until it is multiplied, which is before the next barrier; of a result each of 8
// lanes has every eighth element.
@if(emulated) const LANES = 8u;
@if(emulated) var<private> lane: u32;
@if(emulated) var<private> steps: u32; // K, as a number that no compiler knows: written out, the loops take minutes to compile
@if(emulated) struct Left { at: u32, down: u32, across: u32 }
@if(emulated) struct Right { at: u32, down: u32, across: u32 }
@if(emulated) alias Result = array<f32, M * N / LANES>;

@if(emulated)
fn emulated_subgroup(thread: u32) -> u32 {
  lane = thread % LANES;
  steps = K + (thread >> 16u);
  return thread / LANES;
}
@if(emulated)
fn load_left(at: u32, stride: u32) -> Left { return Left(at, stride, 1u); }
@if(emulated)
fn load_left_columns(at: u32, stride: u32) -> Left { return Left(at, 1u, stride); }
@if(emulated)
fn load_right(at: u32, stride: u32) -> Right { return Right(at, stride, 1u); }
@if(emulated)
fn load_right_columns(at: u32, stride: u32) -> Right { return Right(at, 1u, stride); }
@if(emulated)
fn multiply_add(left: Left, right: Right, sum: Result) -> Result {
  var total = sum;
  for (var e = lane; e < M * N; e += LANES) {
    var part = 0.0;
    for (var k = 0u; k < steps; k++) {
      let l = halves[left.at + (e / N) * left.down + k * left.across];
      part += f32(l) * f32(halves[right.at + k * right.down + (e % N) * right.across]);
    }
    total[e / LANES] += part;
  }
  return total;
}
@if(emulated)
fn store_result(at: u32, stride: u32, result: Result) {
  var values = result;
  for (var e = lane; e < M * N; e += LANES) {
    floats[at + (e / N) * stride + e % N] = values[e / LANES];
  }
}
