// out = a + b, element by element: the sum of two gradients that meet in one tensor.
//
// Layout       a, b, out: the same number of float32, contiguous.
// Grid         one workgroup per WORKGROUP * VECS vec4s, folded to two dimensions. The loop ends at a bound that no
//              compiler knows: with a constant count lavapipe's wrote it out, which cost 1.5-5 s of compile time for
//              each small kernel, and 1.8x the time of every run.
// Host         buffers are multiples of 16 bytes, so the last vec4 may run into padding.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { vecs: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn add(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) { out[i] = a[i] + b[i]; }
}
