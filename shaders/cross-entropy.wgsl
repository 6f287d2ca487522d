// Cross-entropy with integer labels, per row: loss = (log(sum exp(x)) - x[label]) * scale.
// backward: dx = (softmax(x) - onehot(label)) * g * scale, g the gradient of the sum of these.
//
// Layout       x, out of backward: [rows, n] contiguous float32; labels: u32 [rows]; out of forward: [rows].
// Grid         rows of threads, see shared/row_reduce.wgsl.
// Host         labels < n.
// Precision    the maximum is subtracted first: no overflow for any finite input, and no digits lost where all are large.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::row_max;
import package::shared::nan_max::nan_max;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

struct Params { rows: u32, n: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// (maximum, sum of exp(x - maximum)) of the row that begins at `begin`.
fn exponentials(begin: u32, at: Invocation) -> vec2<f32> {
  let lane = row_lane(at);
  var most = -3.4028234e38f;
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) { most = nan_max(most, x[begin + j]); }
  most = row_max(most, at.thread);
  var total = 0.0;
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) { total += exp(x[begin + j] - most); }
  return vec2<f32>(most, row_sum(total, at.thread));
}

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let index = row_index(at);
  let row = min(index, params.rows - 1u);
  let e = exponentials(row * params.n, at);
  if (index < params.rows && row_lane(at) == 0u) {
    out[row] = (log(e.y) - (x[row * params.n + labels[row]] - e.x)) * params.scale;
  }
}

@compute @workgroup_size(ROW_THREADS)
fn backward(at: Invocation) {
  let index = row_index(at);
  let row = min(index, params.rows - 1u);
  let begin = row * params.n;
  let e = exponentials(begin, at);
  if (index >= params.rows) { return; }
  let factor = g[0] * params.scale;
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) {
    let p = exp(x[begin + j] - e.x) / e.y;
    out[begin + j] = (p - select(0.0, 1.0, j == labels[row])) * factor;
  }
}
