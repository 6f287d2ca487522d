// Rows divided by their length: y = x / max(|x|, eps) (torch.nn.functional.normalize).
// backward: dx = (dy - y <dy, y>) / |x| where |x| > eps, dy / eps elsewhere.
//
// Layout       x, dy, out: [rows, n] contiguous float32.
// Grid         rows of threads, see shared/row_reduce.wgsl.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::nan_max::nan_max;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

struct Params { rows: u32, n: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let index = row_index(at);
  let begin = min(index, params.rows - 1u) * params.n;
  var squares = 0.0;
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) { squares += x[begin + j] * x[begin + j]; }
  let length = nan_max(sqrt(row_sum(squares, at.thread)), params.eps);
  if (index >= params.rows) { return; }
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) { out[begin + j] = x[begin + j] / length; }
}

@compute @workgroup_size(ROW_THREADS)
fn backward(at: Invocation) {
  let index = row_index(at);
  let begin = min(index, params.rows - 1u) * params.n;
  var squares = 0.0;
  var dot = 0.0;
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) {
    squares += x[begin + j] * x[begin + j];
    dot += x[begin + j] * dy[begin + j];
  }
  let length = sqrt(row_sum(squares, at.thread));
  let along = row_sum(dot, at.thread);
  if (index >= params.rows) { return; }
  let clamped = length <= params.eps;
  let divisor = nan_max(length, params.eps);
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) {
    let y = x[begin + j] / divisor;
    out[begin + j] = (dy[begin + j] - select(y * (along / divisor), 0.0, clamped)) / divisor;
  }
}
