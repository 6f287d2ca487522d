// Softmax with a row to each thread: maximum, sum of the exponentials, result.
//
// plain        three passes, by single floats.
// quads        three passes, by vec4s.
// once         by vec4s; maximum and sum in one pass, each component's sum relative to its maximum so far.
// Layout       x, out: [rows, n] contiguous float32; for quads and once n is a multiple of 4.
// Grid         WORKGROUP rows to a workgroup.
// Determinism  every row has one thread.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 8u;

const LEAST = -3.4028234e38f;

struct Params { rows: u32, n: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn plain(at: Invocation) {
  let row = group_index(at) * WORKGROUP + at.thread;
  if (row >= params.rows) { return; }
  let begin = row * params.n;
  var most = LEAST;
  for (var j = 0u; j < params.n; j++) { most = max(most, x[begin + j]); }
  var total = 0.0;
  for (var j = 0u; j < params.n; j++) { total += exp(x[begin + j] - most); }
  for (var j = 0u; j < params.n; j++) { out[begin + j] = exp(x[begin + j] - most) / total; }
}

fn sum_of(value: vec4<f32>) -> f32 {
  return (value.x + value.y) + (value.z + value.w);
}

fn max_of(value: vec4<f32>) -> f32 {
  return max(max(value.x, value.y), max(value.z, value.w));
}

@compute @workgroup_size(WORKGROUP)
fn quads(at: Invocation) {
  let row = group_index(at) * WORKGROUP + at.thread;
  if (row >= params.rows) { return; }
  let width = params.n / 4u;
  let begin = row * width;
  var most4 = vec4<f32>(LEAST);
  for (var j = 0u; j < width; j++) { most4 = max(most4, x4[begin + j]); }
  let most = max_of(most4);
  var total4 = vec4<f32>(0.0);
  for (var j = 0u; j < width; j++) { total4 += exp(x4[begin + j] - most); }
  let total = sum_of(total4);
  for (var j = 0u; j < width; j++) { out4[begin + j] = exp(x4[begin + j] - most) / total; }
}

@compute @workgroup_size(WORKGROUP)
fn once(at: Invocation) {
  let row = group_index(at) * WORKGROUP + at.thread;
  if (row >= params.rows) { return; }
  let width = params.n / 4u;
  let begin = row * width;
  var most4 = vec4<f32>(LEAST);
  var total4 = vec4<f32>(0.0);
  for (var j = 0u; j < width; j++) {
    let v = x4[begin + j];
    let now = max(most4, v);
    // Of exp(old - new maximum) and exp(element - new maximum), one is always 1.
    let factor = exp(min(v, most4) - now);
    total4 = select(total4 + factor, fma(total4, factor, vec4<f32>(1.0)), v > most4);
    most4 = now;
  }
  let most = max_of(most4);
  let total = sum_of(total4 * exp(most4 - most));
  for (var j = 0u; j < width; j++) { out4[begin + j] = exp(x4[begin + j] - most) / total; }
}
