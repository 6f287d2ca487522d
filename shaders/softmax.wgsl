// Softmax and log-softmax over rows: y = exp(x - max) / sum, or x - max - log(sum).
// backward: dx = y * (dy - sum(dy * y)), or dy - exp(y) * sum(dy).
//
// Layout       x, y, dy, out: [rows, n] contiguous float32.
// Grid         rows of threads, see shared/row_reduce.wgsl.
// Precision    the maximum is subtracted first: no overflow for any finite input.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::row_max;
import package::shared::row_reduce::nan_max;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override LOG: bool = false;

struct Params { rows: u32, n: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let index = row_index(at);
  let begin = min(index, params.rows - 1u) * params.n;
  let lane = row_lane(at);
  var most = -3.4028234e38f;
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) { most = nan_max(most, x[begin + j]); }
  most = row_max(most, at.thread);
  var total = 0.0;
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) { total += exp(x[begin + j] - most); }
  total = row_sum(total, at.thread);
  if (index >= params.rows) { return; }
  let log_total = log(total);
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) {
    let shifted = x[begin + j] - most;
    if (LOG) { out[begin + j] = shifted - log_total; } else { out[begin + j] = exp(shifted) / total; }
  }
}

@compute @workgroup_size(ROW_THREADS)
fn backward(at: Invocation) {
  let index = row_index(at);
  let begin = min(index, params.rows - 1u) * params.n;
  let lane = row_lane(at);
  var dot = 0.0;
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) {
    let i = begin + j;
    if (LOG) { dot += dy[i]; } else { dot += dy[i] * y[i]; }
  }
  dot = row_sum(dot, at.thread);
  if (index >= params.rows) { return; }
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) {
    let i = begin + j;
    if (LOG) { out[i] = dy[i] - exp(y[i]) * dot; } else { out[i] = y[i] * (dy[i] - dot); }
  }
}
