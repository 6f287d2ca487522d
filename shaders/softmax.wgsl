// Softmax and log-softmax along an axis: y = exp(x - max) / sum, or x - max - log(sum).
// backward: dx = y * (dy - sum(dy * y)), or dy - exp(y) * sum(dy).
// forward and backward take the last axis; the columns entry points take one before others.
//
// Layout       x, y, dy, out: [rows, n] contiguous float32; for columns [outer, n, inner].
// Grid         rows of threads, see shared/row_reduce.wgsl; forward4, backward4: the same by vec4s, for n a multiple of
//              4, on CPU rasterisers; there forward reads a row twice, not three times: one pass finds the maximum and, relative
//              to the maximum so far, the sum (Milakov & Gimelshein 2018); long rows have softmax-subgroup.wgsl. Columns:
//              COLUMNS neighbours by LANES threads each, the threads of one column COLUMNS apart, so that neighbouring
//              threads read neighbouring elements.
// Host         COLUMN_THREADS = COLUMNS * LANES, LANES a power of two.
// Precision    the maximum is subtracted first: no overflow for any finite input.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::row_max;
import package::shared::nan_max::nan_max;
import package::shared::nan_max::nan_max4;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override LOG: bool = false;
override COLUMNS: u32 = 32u;
override LANES: u32 = 8u;
override COLUMN_THREADS: u32 = 256u;

struct Params { rows: u32, n: u32, inner: u32 } // rows: columns in the columns entry points

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
@group(0) @binding(5) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> y4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> out4: array<vec4<f32>>;

var<workgroup> scratch: array<f32, COLUMN_THREADS>;

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

@compute @workgroup_size(ROW_THREADS)
fn forward4(at: Invocation) {
  let index = row_index(at);
  let quads = params.n / 4u;
  let begin = min(index, params.rows - 1u) * quads;
  let lane = row_lane(at);
  var most4 = vec4<f32>(-3.4028234e38f);
  var total4 = vec4<f32>(0.0);
  for (var j = lane; j < quads; j += THREADS_PER_ROW) {
    let v = x4[begin + j];
    let now = nan_max4(most4, v);
    // Of exp(old - new maximum) and exp(element - new maximum), one is always 1.
    let factor = exp(min(v, most4) - now);
    total4 = select(total4 + factor, fma(total4, factor, vec4<f32>(1.0)), v > most4);
    most4 = now;
  }
  let most = row_max(nan_max(nan_max(most4.x, most4.y), nan_max(most4.z, most4.w)), at.thread);
  total4 *= exp(most4 - most);
  let total = row_sum((total4.x + total4.y) + (total4.z + total4.w), at.thread);
  if (index >= params.rows) { return; }
  let log_total = log(total);
  for (var j = lane; j < quads; j += THREADS_PER_ROW) {
    let shifted = x4[begin + j] - most;
    if (LOG) { out4[begin + j] = shifted - log_total; } else { out4[begin + j] = exp(shifted) / total; }
  }
}

@compute @workgroup_size(ROW_THREADS)
fn backward4(at: Invocation) {
  let index = row_index(at);
  let quads = params.n / 4u;
  let begin = min(index, params.rows - 1u) * quads;
  let lane = row_lane(at);
  var dot4 = vec4<f32>(0.0);
  for (var j = lane; j < quads; j += THREADS_PER_ROW) {
    let i = begin + j;
    if (LOG) { dot4 += dy4[i]; } else { dot4 += dy4[i] * y4[i]; }
  }
  let dot = row_sum((dot4.x + dot4.y) + (dot4.z + dot4.w), at.thread);
  if (index >= params.rows) { return; }
  for (var j = lane; j < quads; j += THREADS_PER_ROW) {
    let i = begin + j;
    if (LOG) { out4[i] = dy4[i] - exp(y4[i]) * dot; } else { out4[i] = y4[i] * (dy4[i] - dot); }
  }
}

fn column_index(at: Invocation) -> u32 {
  return group_index(at) * COLUMNS + at.thread % COLUMNS;
}

// Where the column begins; its elements are params.inner apart.
fn column_begin(index: u32) -> u32 {
  let column = min(index, params.rows - 1u);
  let outer = column / params.inner;
  return outer * params.n * params.inner + column - outer * params.inner;
}

fn column_sum(value: f32, thread: u32) -> f32 {
  if (LANES == 1u) { return value; }
  scratch[thread] = value;
  workgroupBarrier();
  for (var s = COLUMN_THREADS / 2u; s >= COLUMNS; s = s / 2u) {
    if (thread < s) { scratch[thread] += scratch[thread + s]; }
    workgroupBarrier();
  }
  let total = scratch[thread % COLUMNS];
  workgroupBarrier();
  return total;
}

fn column_max(value: f32, thread: u32) -> f32 {
  if (LANES == 1u) { return value; }
  scratch[thread] = value;
  workgroupBarrier();
  for (var s = COLUMN_THREADS / 2u; s >= COLUMNS; s = s / 2u) {
    if (thread < s) { scratch[thread] = nan_max(scratch[thread], scratch[thread + s]); }
    workgroupBarrier();
  }
  let most = scratch[thread % COLUMNS];
  workgroupBarrier();
  return most;
}

@compute @workgroup_size(COLUMN_THREADS)
fn forward_columns(at: Invocation) {
  let index = column_index(at);
  let begin = column_begin(index);
  let lane = at.thread / COLUMNS;
  var most = -3.4028234e38f;
  for (var j = lane; j < params.n; j += LANES) { most = nan_max(most, x[begin + j * params.inner]); }
  most = column_max(most, at.thread);
  var total = 0.0;
  for (var j = lane; j < params.n; j += LANES) { total += exp(x[begin + j * params.inner] - most); }
  total = column_sum(total, at.thread);
  if (index >= params.rows) { return; }
  let log_total = log(total);
  for (var j = lane; j < params.n; j += LANES) {
    let i = begin + j * params.inner;
    let shifted = x[i] - most;
    if (LOG) { out[i] = shifted - log_total; } else { out[i] = exp(shifted) / total; }
  }
}

@compute @workgroup_size(COLUMN_THREADS)
fn backward_columns(at: Invocation) {
  let index = column_index(at);
  let begin = column_begin(index);
  let lane = at.thread / COLUMNS;
  var dot = 0.0;
  for (var j = lane; j < params.n; j += LANES) {
    let i = begin + j * params.inner;
    if (LOG) { dot += dy[i]; } else { dot += dy[i] * y[i]; }
  }
  dot = column_sum(dot, at.thread);
  if (index >= params.rows) { return; }
  for (var j = lane; j < params.n; j += LANES) {
    let i = begin + j * params.inner;
    if (LOG) { out[i] = dy[i] - exp(y[i]) * dot; } else { out[i] = y[i] * (dy[i] - dot); }
  }
}
