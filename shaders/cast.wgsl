// float32 to float16 and back, on every adapter: in integers, without the feature shader-f16 and without pack2x16float,
// whose rounding is not laid down and whose result beyond 65,504 is undefined.
//
// narrow       halves = x, rounded to nearest, ties to even; from 65,520 on infinite; NaN stays NaN (0x7e00).
// widen        x = halves, exactly; subnormal halves too.
// Layout       x: vec4 of float32, as bits; halves: the same four values in two words, the first in the low half.
// Grid         elementwise (see accumulate.wgsl).
// Host         buffers are multiples of 16 bytes, so the last four values may run into padding.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { vecs: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> halves: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> narrowed: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> widened: array<vec4<u32>>;
@group(0) @binding(4) var<uniform> params: Params;

const INFINITY = vec4<u32>(0x7f800000u);
const INFINITE_HALF = vec4<u32>(0x7c00u);

fn to_half(bits: vec4<u32>) -> vec4<u32> {
  let magnitude = bits & vec4<u32>(0x7fffffffu);
  // From 2^-14 on both formats are normal. A carry moves into the exponent, and from the last one to infinity.
  let odd = (magnitude >> vec4<u32>(13u)) & vec4<u32>(1u);
  var half = (magnitude - vec4<u32>(0x38000000u) + vec4<u32>(0xfffu) + odd) >> vec4<u32>(13u);
  // Below, the last bit of a half is 2^-24: that of float32 between 0.5 and 1, so that the addition rounds.
  let small = min(magnitude, vec4<u32>(0x38800000u));
  let rounded = bitcast<vec4<u32>>(bitcast<vec4<f32>>(small) + 0.5) - vec4<u32>(0x3f000000u);
  half = select(half, rounded, magnitude < vec4<u32>(0x38800000u));
  half = select(half, INFINITE_HALF, magnitude >= vec4<u32>(0x47800000u)); // 2^16
  half = select(half, vec4<u32>(0x7e00u), magnitude > INFINITY);
  return half | ((bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u));
}

fn to_float(half: vec4<u32>) -> vec4<u32> {
  let magnitude = half & vec4<u32>(0x7fffu);
  var bits = (magnitude << vec4<u32>(13u)) + vec4<u32>(0x38000000u);
  let small = bitcast<vec4<u32>>(vec4<f32>(magnitude) * 0x1p-24f);
  bits = select(bits, small, magnitude < vec4<u32>(0x400u));
  bits = select(bits, bits + vec4<u32>(0x38000000u), magnitude >= INFINITE_HALF);
  return bits | ((half & vec4<u32>(0x8000u)) << vec4<u32>(16u));
}

@compute @workgroup_size(WORKGROUP)
fn narrow(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    let half = to_half(x[i]);
    halves[i] = vec2<u32>(half.x | (half.y << 16u), half.z | (half.w << 16u));
  }
}

@compute @workgroup_size(WORKGROUP)
fn widen(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    let pairs = narrowed[i].xxyy >> vec4<u32>(0u, 16u, 0u, 16u);
    widened[i] = to_float(pairs & vec4<u32>(0xffffu));
  }
}
