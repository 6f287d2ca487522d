// Layer normalisation over rows (Ba et al. 2016): y = (x - mean) * rstd * weight + bias,
// rstd = 1 / sqrt(variance + eps), variance without Bessel's correction.
// backward, with h = (x - mean) * rstd and g = dy * weight:
//   dx = rstd * (g - mean(g) - h * mean(g * h));  dyh = dy * h, whose column sums are the gradient of weight.
//
// Layout       x, dy, out, dyh: [rows, n] contiguous float32; weight, bias: [n].
// Grid         rows of threads, see shared/row_reduce.wgsl. forward4, backward4: the same by vec4s, for n a multiple
//              of 4; for CPU rasterisers, where a scalar load costs nearly what a vec4 does (wider rows: layer-norm-subgroup.wgsl).
// Precision    two passes for mean and variance, on the differences from the row's first element: these are exact
//              in a nearly constant row, where the mean alone would be off by much of a deviation. Both are
//              computed again in backward instead of stored.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

struct Params { rows: u32, n: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> dyh: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
@group(0) @binding(7) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> weight4: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> bias4: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(12) var<storage, read_write> dyh4: array<vec4<f32>>;

struct Moments { first: f32, mean: f32, rstd: f32 } // mean: of the differences from `first`

fn centred(value: f32, m: Moments) -> f32 {
  return (value - m.first) - m.mean;
}

// Of the row that begins at `begin`.
fn moments(begin: u32, at: Invocation) -> Moments {
  let lane = row_lane(at);
  var m = Moments(x[begin], 0.0, 0.0);
  var total = 0.0;
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) { total += x[begin + j] - m.first; }
  m.mean = row_sum(total, at.thread) / f32(params.n);
  var squares = 0.0;
  for (var j = lane; j < params.n; j += THREADS_PER_ROW) {
    let d = centred(x[begin + j], m);
    squares += d * d;
  }
  m.rstd = inverseSqrt(row_sum(squares, at.thread) / f32(params.n) + params.eps);
  return m;
}

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let index = row_index(at);
  let begin = min(index, params.rows - 1u) * params.n;
  let m = moments(begin, at);
  if (index >= params.rows) { return; }
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) {
    out[begin + j] = centred(x[begin + j], m) * m.rstd * weight[j] + bias[j];
  }
}

@compute @workgroup_size(ROW_THREADS)
fn backward(at: Invocation) {
  let index = row_index(at);
  let begin = min(index, params.rows - 1u) * params.n;
  let m = moments(begin, at);
  var sum_g = 0.0;
  var sum_gh = 0.0;
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) {
    let g = dy[begin + j] * weight[j];
    sum_g += g;
    sum_gh += g * centred(x[begin + j], m) * m.rstd;
  }
  let mean_g = row_sum(sum_g, at.thread) / f32(params.n);
  let mean_gh = row_sum(sum_gh, at.thread) / f32(params.n);
  if (index >= params.rows) { return; }
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) {
    let h = centred(x[begin + j], m) * m.rstd;
    out[begin + j] = m.rstd * (dy[begin + j] * weight[j] - mean_g - h * mean_gh);
    dyh[begin + j] = dy[begin + j] * h;
  }
}

fn row_sum4(value: vec4<f32>, at: Invocation) -> f32 {
  return row_sum((value.x + value.y) + (value.z + value.w), at.thread);
}

fn centred4(value: vec4<f32>, m: Moments) -> vec4<f32> {
  return (value - m.first) - m.mean;
}

fn moments4(begin: u32, at: Invocation) -> Moments {
  let quads = params.n / 4u;
  var m = Moments(x4[begin].x, 0.0, 0.0);
  var total = vec4<f32>(0.0);
  for (var j = row_lane(at); j < quads; j += THREADS_PER_ROW) { total += x4[begin + j] - m.first; }
  m.mean = row_sum4(total, at) / f32(params.n);
  var squares = vec4<f32>(0.0);
  for (var j = row_lane(at); j < quads; j += THREADS_PER_ROW) {
    let d = centred4(x4[begin + j], m);
    squares += d * d;
  }
  m.rstd = inverseSqrt(row_sum4(squares, at) / f32(params.n) + params.eps);
  return m;
}

@compute @workgroup_size(ROW_THREADS)
fn forward4(at: Invocation) {
  let index = row_index(at);
  let quads = params.n / 4u;
  let begin = min(index, params.rows - 1u) * quads;
  let m = moments4(begin, at);
  if (index >= params.rows) { return; }
  for (var j = row_lane(at); j < quads; j += THREADS_PER_ROW) {
    out4[begin + j] = centred4(x4[begin + j], m) * m.rstd * weight4[j] + bias4[j];
  }
}

@compute @workgroup_size(ROW_THREADS)
fn backward4(at: Invocation) {
  let index = row_index(at);
  let quads = params.n / 4u;
  let begin = min(index, params.rows - 1u) * quads;
  let m = moments4(begin, at);
  var sum_g = vec4<f32>(0.0);
  var sum_gh = vec4<f32>(0.0);
  for (var j = row_lane(at); j < quads; j += THREADS_PER_ROW) {
    let g = dy4[begin + j] * weight4[j];
    sum_g += g;
    sum_gh += g * centred4(x4[begin + j], m) * m.rstd;
  }
  let mean_g = row_sum4(sum_g, at) / f32(params.n);
  let mean_gh = row_sum4(sum_gh, at) / f32(params.n);
  if (index >= params.rows) { return; }
  for (var j = row_lane(at); j < quads; j += THREADS_PER_ROW) {
    let dy_now = dy4[begin + j];
    let h = centred4(x4[begin + j], m) * m.rstd;
    out4[begin + j] = m.rstd * (dy_now * weight4[j] - mean_g - h * mean_gh);
    dyh4[begin + j] = dy_now * h;
  }
}
