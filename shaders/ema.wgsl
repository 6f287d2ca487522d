// An exponential moving average beside a parameter (torch.optim.swa_utils, get_ema_multi_avg_fn):
//
// update  average += (1 - decay) * (value - average)
// swap    exchanges the two.
//
// Layout       average, value: the same number of float32, contiguous.
// Grid         elementwise (see accumulate.wgsl).
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { vecs: u32, weight: f32 } // weight: 1 - decay

@group(0) @binding(0) var<storage, read_write> average: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn update(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) { average[i] += params.weight * (value[i] - average[i]); }
}

@compute @workgroup_size(WORKGROUP)
fn swap(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    let kept = average[i];
    average[i] = value[i];
    value[i] = kept;
  }
}
