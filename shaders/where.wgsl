// out = condition ? a : b, element by element; the operand that is not taken is not looked at, so that its NaN
// does not leak. The gradients put a zero in the place of the other operand.
//
// Layout       condition, a, b, out: one shape, contiguous float32. Anything but zero is true (a NaN too).
// Grid         elementwise (see accumulate.wgsl).
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { count: u32, keep: u32 } // keep: backward passes the gradient on where the condition is this

@group(0) @binding(0) var<storage, read> condition: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn holds(i: u32) -> vec4<bool> {
  return (condition[i] & vec4<u32>(0x7fffffffu)) != vec4<u32>(0u);
}

@compute @workgroup_size(WORKGROUP)
fn forward(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) { out[i] = select(b[i], a[i], holds(i)); }
}

@compute @workgroup_size(WORKGROUP)
fn backward(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) {
    out[i] = select(vec4<f32>(0.0), a[i], holds(i) == vec4<bool>(params.keep == 1u));
  }
}
