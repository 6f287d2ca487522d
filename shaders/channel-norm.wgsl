// Norms over the channels of each position, x [samples, channels, length]:
//   PixelNorm (Karras et al. 2018):                y = x / d, d = sqrt(mean(x^2) + eps)
//   UNIT, unit length (LPIPS, Zhang et al. 2018):  y = x / d, d = norm + eps, norm = sqrt(sum(x^2))
// backward, with sums over channels:
//   PixelNorm: dx = (dy - y * mean(dy * y)) / d;  UNIT: dx = (dy - x * sum(dy * x) / (norm * d)) / d, and dy / eps where x is 0.
//
// Layout       contiguous float32, or a part of the samples. The same buffers are also seen as vec4s (four positions): those are used
//              where VEC, when `length` counts vec4s. Of out and out4 the one not used is any other buffer.
// Grid         a row of threads (shared/row_reduce.wgsl) per position, or per vec4 of positions (then one thread).
// Precision    plain float32 sums, as in PyTorch: squares overflow beyond 1e19.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override VEC: bool = false;
override UNIT: bool = false;

struct Params { samples: u32, channels: u32, length: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

// Without VEC all four components hold the one value.
fn load_x(i: u32) -> vec4<f32> {
  if (VEC) { return x4[i]; }
  return vec4<f32>(x[i]);
}

fn load_dy(i: u32) -> vec4<f32> {
  if (VEC) { return dy4[i]; }
  return vec4<f32>(dy[i]);
}

fn store(i: u32, value: vec4<f32>) {
  if (VEC) { out4[i] = value; } else { out[i] = value.x; }
}

fn sum_of_row(value: vec4<f32>, thread: u32) -> vec4<f32> {
  if (THREADS_PER_ROW == 1u) { return value; }
  return vec4<f32>(row_sum(value.x, thread)); // rows are shared without VEC only
}

// Where channel 0 of a position is.
fn position(index: u32) -> u32 {
  let at = min(index, params.samples * params.length - 1u);
  return (at / params.length) * params.channels * params.length + at % params.length;
}

fn divisor(squares: vec4<f32>) -> vec4<f32> {
  if (UNIT) { return sqrt(squares) + params.eps; }
  return sqrt(squares / f32(params.channels) + params.eps);
}

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let index = row_index(at);
  let begin = position(index);
  let lane = row_lane(at);
  var squares = vec4<f32>(0.0);
  for (var c = lane; c < params.channels; c += THREADS_PER_ROW) {
    let v = load_x(begin + c * params.length);
    squares += v * v;
  }
  let d = divisor(sum_of_row(squares, at.thread));
  if (index >= params.samples * params.length) { return; }
  for (var c = lane; c < params.channels; c += THREADS_PER_ROW) {
    let i = begin + c * params.length;
    store(i, load_x(i) / d);
  }
}

@compute @workgroup_size(ROW_THREADS)
fn backward(at: Invocation) {
  let index = row_index(at);
  let begin = position(index);
  let lane = row_lane(at);
  var squares = vec4<f32>(0.0);
  var dots = vec4<f32>(0.0);
  for (var c = lane; c < params.channels; c += THREADS_PER_ROW) {
    let v = load_x(begin + c * params.length);
    squares += v * v;
    dots += v * load_dy(begin + c * params.length);
  }
  squares = sum_of_row(squares, at.thread);
  dots = sum_of_row(dots, at.thread);
  let d = divisor(squares);
  var slope = dots / d / (d * f32(params.channels));
  if (UNIT) { slope = select(dots / sqrt(squares) / d, vec4<f32>(0.0), squares == vec4<f32>(0.0)); }
  if (index >= params.samples * params.length) { return; }
  for (var c = lane; c < params.channels; c += THREADS_PER_ROW) {
    let i = begin + c * params.length;
    store(i, (load_dy(i) - load_x(i) * slope) / d);
  }
}
