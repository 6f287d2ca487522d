// Layer normalisation with a row to each thread: mean, variance, result, one pass each.
//
// plain        by single floats.
// quads        by vec4s, on the differences from the row's first element.
// Layout       x, out: [rows, n] contiguous float32; weight, bias: [n]; for quads n is a multiple of 4.
// Grid         WORKGROUP rows to a workgroup.
// Determinism  every row has one thread.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 8u;

struct Params { rows: u32, n: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> weight4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> bias4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn plain(at: Invocation) {
  let row = group_index(at) * WORKGROUP + at.thread;
  if (row >= params.rows) { return; }
  let begin = row * params.n;
  var mean = 0.0;
  for (var j = 0u; j < params.n; j++) { mean += x[begin + j]; }
  mean /= f32(params.n);
  var squares = 0.0;
  for (var j = 0u; j < params.n; j++) {
    let d = x[begin + j] - mean;
    squares += d * d;
  }
  let rstd = inverseSqrt(squares / f32(params.n) + params.eps);
  for (var j = 0u; j < params.n; j++) {
    out[begin + j] = (x[begin + j] - mean) * rstd * weight[j] + bias[j];
  }
}

fn all(value: vec4<f32>) -> f32 {
  return (value.x + value.y) + (value.z + value.w);
}

@compute @workgroup_size(WORKGROUP)
fn quads(at: Invocation) {
  let row = group_index(at) * WORKGROUP + at.thread;
  if (row >= params.rows) { return; }
  let width = params.n / 4u;
  let begin = row * width;
  let first = x4[begin].x;
  var total = vec4<f32>(0.0);
  for (var j = 0u; j < width; j++) { total += x4[begin + j] - first; }
  let mean = all(total) / f32(params.n);
  var squares = vec4<f32>(0.0);
  for (var j = 0u; j < width; j++) {
    let d = (x4[begin + j] - first) - mean;
    squares += d * d;
  }
  let rstd = inverseSqrt(all(squares) / f32(params.n) + params.eps);
  for (var j = 0u; j < width; j++) {
    out4[begin + j] = ((x4[begin + j] - first) - mean) * rstd * weight4[j] + bias4[j];
  }
}
