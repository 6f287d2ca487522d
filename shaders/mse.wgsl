// Mean squared error: partial sums of (prediction - target)^2 * scale over runs of `chunk` elements (the host
// adds them up with reduce.wgsl), and the gradient 2 (prediction - target) * g * scale.
//
// Layout       prediction, target, out of backward: `count` contiguous float32; out of forward: one sum per run,
//              from `first_run` on.
// Grid         forward: a row of threads (shared/row_reduce.wgsl) per run; backward: elementwise.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { count: u32, chunk: u32, first_run: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> prediction: array<f32>;
@group(0) @binding(1) var<storage, read> target_value: array<f32>;
@group(0) @binding(2) var<storage, read> prediction4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> target4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> g: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let run = row_index(at);
  let start = min(run * params.chunk, params.count);
  let to = min(start + params.chunk, params.count);
  var squares = 0.0;
  for (var j = start + row_lane(at); j < to; j += THREADS_PER_ROW) {
    let d = prediction[j] - target_value[j];
    squares += d * d;
  }
  squares = row_sum(squares, at.thread);
  if (start < to && row_lane(at) == 0u) { out[params.first_run + run] = squares * params.scale; }
}

@compute @workgroup_size(WORKGROUP)
fn backward(at: Invocation) {
  let factor = 2.0 * g[0] * params.scale;
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) { out4[i] = (prediction4[i] - target4[i]) * factor; }
}
