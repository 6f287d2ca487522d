// Losses that add up over elements, of prediction x and target y; OP chooses when the pipeline is made:
//   L1             |x - y|
//   SMOOTH_L1      d = |x - y|: d^2 / (2 a) below a, d - a / 2 beyond (Girshick 2015; a > 0)
//   BCE_LOGITS     (1 - y) x + (1 + (a - 1) y) softplus(-x); a weights the positives
// as partial sums, times `scale`, over runs of `chunk` elements (`forward`; the host adds them up with reduce.wgsl),
// or each for itself (`forward_each`); and the gradients for x (TO_TARGET 0) or y (TO_TARGET 1).
//
// Layout       prediction, target: `count` contiguous float32; out of `forward`: one sum per run, from `first_run`
//              on; g: the gradient of the one sum, times `scale` (`backward`), or of each loss (`backward_each`).
// Grid         forward: a row of threads (shared/row_reduce.wgsl) per run, `chunk` a multiple of 4; others: elementwise.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;
import package::shared::special::sigmoid4;
import package::shared::special::softplus4;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;
override OP: u32 = 0u; // index in POINTWISE_LOSSES of src/ops/pointwise-loss.ts
override TO_TARGET: u32 = 0u;

const L1 = 0u;
const SMOOTH_L1 = 1u;

struct Params { count: u32, chunk: u32, first_run: u32, scale: f32, a: f32 }

@group(0) @binding(0) var<storage, read> prediction: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> target_value: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read> g4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

fn loss(i: u32) -> vec4<f32> {
  let x = prediction[i];
  let y = target_value[i];
  let d = abs(x - y);
  if (OP == L1) { return d; }
  if (OP == SMOOTH_L1) { return select(d - 0.5 * params.a, 0.5 * d * d / params.a, d < vec4<f32>(params.a)); }
  return (1.0 - y) * x + (1.0 + (params.a - 1.0) * y) * softplus4(-x);
}

fn slope(i: u32) -> vec4<f32> {
  let x = prediction[i];
  let y = target_value[i];
  let d = x - y;
  var result = sign(d);
  if (OP == SMOOTH_L1) { result = select(result, d / params.a, abs(d) < vec4<f32>(params.a)); }
  if (OP == L1 || OP == SMOOTH_L1) {
    if (TO_TARGET == 1u) { result = -result; }
    return select(d, result, d == d); // sign() of a NaN is no NaN everywhere
  }
  if (TO_TARGET == 1u) { return (params.a - 1.0) * softplus4(-x) - x; }
  return 1.0 - y - (1.0 + (params.a - 1.0) * y) * sigmoid4(-x);
}

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let run = row_index(at);
  let start = min(run * params.chunk, params.count);
  let to = min(start + params.chunk, params.count);
  var total = vec4<f32>(0.0);
  for (var j = start + 4u * row_lane(at); j < to; j += 4u * THREADS_PER_ROW) {
    let within = vec4<u32>(j, j + 1u, j + 2u, j + 3u) < vec4<u32>(to);
    total += select(vec4<f32>(0.0), loss(j / 4u), within);
  }
  let sum = row_sum((total.x + total.y) + (total.z + total.w), at.thread);
  if (start < to && row_lane(at) == 0u) { out[params.first_run + run] = sum * params.scale; }
}

@compute @workgroup_size(WORKGROUP)
fn forward_each(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) { out4[i] = loss(i); }
}

@compute @workgroup_size(WORKGROUP)
fn backward(at: Invocation) {
  let factor = g[0] * params.scale;
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) { out4[i] = factor * slope(i); }
}

@compute @workgroup_size(WORKGROUP)
fn backward_each(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) { out4[i] = g4[i] * slope(i); }
}
