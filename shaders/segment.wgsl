// Ragged bags: x [total, d] holds the rows of all bags one after another; bag b owns the rows
// offsets[b] .. offsets[b + 1]. No padding, no masks.
//
// softmax           y[n, c] = softmax of column c over the rows of the bag of n (attention, Ilse et al. 2018).
//                   LOG: its logarithm, x - max - log(sum of exp(x - max)).
// softmax_backward  dx = y * (dy - sum over the bag of dy * y). LOG: dx = dy - exp(y) * sum over the bag of dy.
// sum               out[b, c] = sum of w[n] * x[n, c] over rows offsets[b] .. offsets[b + 1]; MEAN: divided by
//                   their number (0 when empty). The host sums in two stages, so that one long bag uses
//                   many threads.
// spread            out[n, c] = w[n] * dy[bag(n), c], MEAN: / length of the bag. The adjoint of `sum` in x.
// dots              out[n] = sum over c of dy[bag(n), c] * x[n, c]. The adjoint of `sum` in w.
//
// Layout       contiguous float32; offsets and row_bag as u32, offsets with one entry more than bags. x and out may
//              be parts of larger tensors: x begins with row `first_row` at `x_start`, dy with that of bag
//              `first_bag` at `dy_start`, out with what belongs to `first_bag` (sum) or `first_row` (spread,
//              dots) at `out_start`; w, offsets, row_bag are whole.
// Grid         softmax: a row of threads (shared/row_reduce.wgsl) per (bag, column); dots, spread: per row n;
//              sum: one thread per output.
// Host         offsets ascend from 0 to total; row_bag[n] is the bag of row n.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::row_max;
import package::shared::nan_max::nan_max;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override WORKGROUP: u32 = 64u;
override WEIGHTED: bool = false;
override MEAN: bool = false;
override LOG: bool = false;

struct Params {
  bags: u32, // of them, and of rows, those of this dispatch
  total: u32,
  d: u32,
  first_bag: u32,
  first_row: u32,
  x_start: u32,
  dy_start: u32,
  out_start: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> w: array<f32>;
@group(0) @binding(4) var<storage, read> offsets: array<u32>;
@group(0) @binding(5) var<storage, read> row_bag: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;
@group(0) @binding(8) var<storage, read> dy4: array<vec4<f32>>; // dy and out, in spread4
@group(0) @binding(9) var<storage, read_write> out4: array<vec4<f32>>;

@compute @workgroup_size(ROW_THREADS)
fn softmax(at: Invocation) {
  let index = row_index(at);
  let task = min(index, params.bags * params.d - 1u);
  let column = task % params.d;
  let start = offsets[task / params.d] + row_lane(at);
  let to = offsets[task / params.d + 1u];
  var most = -3.4028234e38f;
  for (var n = start; n < to; n += THREADS_PER_ROW) { most = nan_max(most, x[n * params.d + column]); }
  most = row_max(most, at.thread);
  var total = 0.0;
  for (var n = start; n < to; n += THREADS_PER_ROW) { total += exp(x[n * params.d + column] - most); }
  total = row_sum(total, at.thread);
  if (index != task) { return; }
  for (var n = start; n < to; n += THREADS_PER_ROW) {
    let i = n * params.d + column;
    if (LOG) { out[i] = (x[i] - most) - log(total); } else { out[i] = exp(x[i] - most) / total; }
  }
}

@compute @workgroup_size(ROW_THREADS)
fn softmax_backward(at: Invocation) {
  let index = row_index(at);
  let task = min(index, params.bags * params.d - 1u);
  let column = task % params.d;
  let start = offsets[task / params.d] + row_lane(at);
  let to = offsets[task / params.d + 1u];
  var dot = 0.0;
  for (var n = start; n < to; n += THREADS_PER_ROW) {
    let i = n * params.d + column;
    if (LOG) { dot += dy[i]; } else { dot += dy[i] * y[i]; }
  }
  dot = row_sum(dot, at.thread);
  if (index != task) { return; }
  for (var n = start; n < to; n += THREADS_PER_ROW) {
    let i = n * params.d + column;
    if (LOG) { out[i] = dy[i] - exp(y[i]) * dot; } else { out[i] = y[i] * (dy[i] - dot); }
  }
}

@compute @workgroup_size(WORKGROUP)
fn sum(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.bags * params.d) { return; }
  let column = index % params.d;
  let bag = params.first_bag + index / params.d;
  let start = offsets[bag];
  let to = offsets[bag + 1u];
  var result = 0.0;
  for (var n = start; n < to; n++) {
    let value = x[params.x_start + (n - params.first_row) * params.d + column];
    if (WEIGHTED) { result += w[n] * value; } else { result += value; }
  }
  if (MEAN) { result = result / f32(max(to - start, 1u)); }
  out[params.out_start + index] = result;
}

// What the row of a bag's gradient is multiplied with on its way to row n, and divided by.
fn weight_of(n: u32) -> f32 {
  if (WEIGHTED) { return w[n]; }
  return 1.0;
}

fn length_of(bag: u32) -> f32 {
  if (MEAN) { return f32(max(offsets[bag + 1u] - offsets[bag], 1u)); }
  return 1.0;
}

@compute @workgroup_size(ROW_THREADS)
fn spread(at: Invocation) {
  let row = row_index(at);
  if (row >= params.total) { return; }
  let n = params.first_row + row;
  let bag = row_bag[n];
  let weight = weight_of(n);
  let length = length_of(bag);
  let source = params.dy_start + (bag - params.first_bag) * params.d;
  let place = params.out_start + row * params.d;
  for (var c = row_lane(at); c < params.d; c += THREADS_PER_ROW) {
    out[place + c] = dy[source + c] * weight / length;
  }
}

// The same by vec4s.
@compute @workgroup_size(ROW_THREADS)
fn spread4(at: Invocation) {
  let row = row_index(at);
  if (row >= params.total) { return; }
  let n = params.first_row + row;
  let bag = row_bag[n];
  let weight = weight_of(n);
  let length = length_of(bag);
  let source = (params.dy_start + (bag - params.first_bag) * params.d) / 4u;
  let place = (params.out_start + row * params.d) / 4u;
  for (var c = row_lane(at); c < params.d / 4u; c += THREADS_PER_ROW) {
    out4[place + c] = dy4[source + c] * weight / length;
  }
}

@compute @workgroup_size(ROW_THREADS)
fn dots(at: Invocation) {
  let index = row_index(at);
  let n = min(index, params.total - 1u);
  let bag = row_bag[params.first_row + n] - params.first_bag;
  var dot = 0.0;
  for (var c = row_lane(at); c < params.d; c += THREADS_PER_ROW) {
    dot += dy[params.dy_start + bag * params.d + c] * x[params.x_start + n * params.d + c];
  }
  dot = row_sum(dot, at.thread);
  if (index == n && row_lane(at) == 0u) { out[params.out_start + n] = dot; }
}
