// Sum or maximum along the middle axis of x [outer, n, inner], in chunks: out [outer, chunks, inner]
// holds the result of each run of `chunk` elements, times `scale`. The host repeats until one chunk
// is left, so that long axes use many threads and add up pairwise-like, in a fixed order.
//
// Layout       contiguous float32. `rows` is for inner = 1, `columns` for the rest.
// Grid         `rows`: one row of threads (shared/row_reduce.wgsl) per output; `columns`: one thread
//              per output, so that neighbouring threads read neighbouring columns.
// max_backward dx = dy / (number of maxima) where x equals the maximum, 0 elsewhere (as torch.amax).
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::row_max;
import package::shared::row_reduce::nan_max;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override MAX: bool = false;
override WORKGROUP: u32 = 64u;

struct Params { outer: u32, n: u32, inner: u32, chunk: u32, chunks: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(ROW_THREADS)
fn rows(at: Invocation) {
  let index = row_index(at);
  let last = params.outer * params.chunks;
  let row = min(index, last - 1u);
  let begin = (row / params.chunks) * params.n;
  let start = (row % params.chunks) * params.chunk;
  let to = min(start + params.chunk, params.n);
  var result = 0.0;
  if (MAX) { result = x[begin + start]; } // a member of the set: it may hold infinities only
  for (var j = start + row_lane(at); j < to; j += THREADS_PER_ROW) {
    let value = x[begin + j];
    if (MAX) { result = nan_max(result, value); } else { result += value; }
  }
  if (MAX) { result = row_max(result, at.thread); } else { result = row_sum(result, at.thread); }
  if (index < last && row_lane(at) == 0u) { out[index] = result * params.scale; }
}

@compute @workgroup_size(WORKGROUP)
fn columns(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.outer * params.chunks * params.inner) { return; }
  let column = index % params.inner;
  let row = index / params.inner;
  let begin = (row / params.chunks) * params.n;
  let start = (row % params.chunks) * params.chunk;
  let to = min(start + params.chunk, params.n);
  var result = 0.0;
  if (MAX) { result = x[(begin + start) * params.inner + column]; }
  for (var j = start; j < to; j++) {
    let value = x[(begin + j) * params.inner + column];
    if (MAX) { result = nan_max(result, value); } else { result += value; }
  }
  out[index] = result * params.scale;
}

@compute @workgroup_size(WORKGROUP)
fn max_backward(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.outer * params.inner) { return; }
  let begin = (index / params.inner) * params.n * params.inner + index % params.inner;
  var ties = 0.0;
  for (var j = 0u; j < params.n; j++) {
    if (x[begin + j * params.inner] == y[index]) { ties += 1.0; }
  }
  for (var j = 0u; j < params.n; j++) {
    let i = begin + j * params.inner;
    out[i] = select(0.0, dy[index] / ties, x[i] == y[index]);
  }
}
