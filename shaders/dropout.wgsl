// Dropout: keeps an element with probability 1 - p and divides it by 1 - p. The gradient is the same
// map, with the mask drawn again from (seed, offset) instead of stored.
//
// Layout       x, out: float32, contiguous; element 4i + j uses word j of Philox block i.
// Grid         elementwise (see accumulate.wgsl).
// Determinism  same bits on every adapter.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::philox::philox_uniform;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { seed: vec2<u32>, offset: u32, first: u32, vecs: u32, p: f32 } // first: vec4s before those bound

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn apply(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    let u = philox_uniform(params.seed, params.offset, params.first + i);
    out[i] = select(vec4<f32>(0.0), x[i] * (1.0 / (1.0 - params.p)), u >= vec4<f32>(params.p));
  }
}
