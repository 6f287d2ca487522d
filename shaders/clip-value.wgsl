// g = min(max(g, -limit), limit), in place (torch.nn.utils.clip_grad_value_). A NaN stays.
//
// Layout       g: contiguous float32.
// Grid         elementwise (see accumulate.wgsl).
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { vecs: u32, limit: f32 }

@group(0) @binding(0) var<storage, read_write> g: array<vec4<f32>>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn clamp_values(at: Invocation) {
  let limit = vec4<f32>(params.limit);
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    // Not clamp(): what that makes of a NaN is the driver's choice.
    let value = g[i];
    g[i] = select(select(value, limit, value > limit), -limit, value < -limit);
  }
}
