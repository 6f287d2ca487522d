// Stochastic depth (Huang et al. 2016; timm's drop_path): whole samples are set to zero with probability p, the
// others divided by 1 - p. The gradient is the same map.
//
// Layout       x, out: float32, contiguous, `width` elements per sample, from vec4 `first` of the tensor on; u: one
//              number in [0, 1) per sample, element n of the Philox stream (random.wgsl); a sample is kept where u >= p.
// Grid         elementwise (see accumulate.wgsl).
// Determinism  same bits on every adapter.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { first: u32, vecs: u32, width: u32, p: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn apply(at: Invocation) {
  let scale = 1.0 / (1.0 - params.p);
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    let element = 4u * (params.first + i);
    let row = element / params.width;
    var draws = vec4<f32>(u[row]);
    let left = (row + 1u) * params.width - element; // elements from here on that are this sample's
    for (var e = left; e < 4u; e++) { draws[e] = u[(element + e) / params.width]; }
    out[i] = select(vec4<f32>(0.0), x[i] * scale, draws >= vec4<f32>(params.p));
  }
}
