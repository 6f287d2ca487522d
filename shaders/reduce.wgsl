// Sum or maximum along the middle axis of x [outer, n, inner], in chunks: out [outer, chunks, inner]
// holds the result of each run of `chunk` elements, times `scale`. The host repeats until one chunk
// is left, so that long axes use many threads and add up pairwise-like, in a fixed order.
//
// MODE         0: sum; 1: maximum; 2: how many elements equal y [outer, inner] (the maximum).
// max_backward dx = dy / count where x equals the maximum y, 0 elsewhere (as torch.amax); dy, y, count [outer, inner].
//              A maximum that is NaN has a count of 0, and NaN for a gradient.
// more         `columns` goes on from what out holds, for runs that the host passes slice by slice.
// Layout       contiguous float32; x, out and y begin at `x_start`, `out_start`, `y_start` of what is bound.
//              `rows` is for inner = 1, `columns` for the rest; rows4 and columns4 are the same by vec4s for MODE 0 and
//              1, where runs or columns come in fours and x and out begin at multiples of 4, on CPU rasterisers.
// Grid         `rows`: one row of threads (shared/row_reduce.wgsl) per output; `columns`: one thread
//              per output, so that neighbouring threads read neighbouring columns; max_backward: one thread per
//              ELEMENTS of x, with neighbours next to each other.
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

override MODE: u32 = 0u;
override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 1u;

struct Params {
  outer: u32,
  n: u32,
  inner: u32,
  chunk: u32,
  chunks: u32,
  scale: f32,
  x_start: u32,
  y_start: u32,
  out_start: u32,
  more: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> count: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out4: array<vec4<f32>>;

fn combine(p: f32, q: f32) -> f32 {
  if (MODE == 1u) { return nan_max(p, q); }
  return p + q;
}

// The result of a run with one more of its elements, element `at` of x.
fn include(result: f32, at: u32, y_at: u32) -> f32 {
  let value = x[params.x_start + at];
  if (MODE == 2u) { return result + select(0.0, 1.0, value == y[params.y_start + y_at]); }
  return combine(result, value);
}

// What a run starts with: a maximum with a member of the set, which may hold infinities only.
fn initial(at: u32) -> f32 {
  if (MODE == 1u) { return x[params.x_start + at]; }
  return 0.0;
}

@compute @workgroup_size(ROW_THREADS)
fn rows(at: Invocation) {
  let index = row_index(at);
  let last = params.outer * params.chunks;
  let row = min(index, last - 1u);
  let begin = (row / params.chunks) * params.n;
  let start = (row % params.chunks) * params.chunk;
  let to = min(start + params.chunk, params.n);
  var result = initial(begin + start);
  for (var j = start + row_lane(at); j < to; j += THREADS_PER_ROW) {
    result = include(result, begin + j, row / params.chunks);
  }
  if (MODE == 1u) { result = row_max(result, at.thread); } else { result = row_sum(result, at.thread); }
  if (index < last && row_lane(at) == 0u) { out[params.out_start + index] = result * params.scale; }
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
  let y_at = (row / params.chunks) * params.inner + column;
  var result = initial((begin + start) * params.inner + column);
  for (var j = start; j < to; j++) {
    result = include(result, (begin + j) * params.inner + column, y_at);
  }
  let place = params.out_start + index;
  if (params.more != 0u) { result = combine(out[place], result); }
  out[place] = result * params.scale;
}

fn combine4(p: vec4<f32>, q: vec4<f32>) -> vec4<f32> {
  if (MODE == 1u) { return select(p, q, (p == p) & !(q <= p)); }
  return p + q;
}

fn initial4(at: u32) -> vec4<f32> {
  if (MODE == 1u) { return x4[at]; }
  return vec4<f32>(0.0);
}

@compute @workgroup_size(ROW_THREADS)
fn rows4(at: Invocation) {
  let index = row_index(at);
  let last = params.outer * params.chunks;
  let row = min(index, last - 1u);
  let begin = (params.x_start + (row / params.chunks) * params.n) / 4u;
  let start = (row % params.chunks) * params.chunk;
  let to = begin + min(start + params.chunk, params.n) / 4u;
  var four = initial4(begin + start / 4u);
  for (var i = begin + start / 4u + row_lane(at); i < to; i += THREADS_PER_ROW) { four = combine4(four, x4[i]); }
  var result = combine(combine(four.x, four.y), combine(four.z, four.w));
  if (MODE == 1u) { result = row_max(result, at.thread); } else { result = row_sum(result, at.thread); }
  if (index < last && row_lane(at) == 0u) { out[params.out_start + index] = result * params.scale; }
}

@compute @workgroup_size(WORKGROUP)
fn columns4(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  let width = params.inner / 4u;
  if (index >= params.outer * params.chunks * width) { return; }
  let row = index / width;
  let begin = (row / params.chunks) * params.n;
  let start = (row % params.chunks) * params.chunk;
  let to = min(start + params.chunk, params.n);
  let first = params.x_start / 4u + index % width;
  var result = initial4(first + (begin + start) * width);
  for (var j = start; j < to; j++) { result = combine4(result, x4[first + (begin + j) * width]); }
  let place = params.out_start / 4u + index;
  if (params.more != 0u) { result = combine4(out4[place], result); }
  out4[place] = result * params.scale;
}

@compute @workgroup_size(WORKGROUP)
fn max_backward(at: Invocation) {
  let first = group_index(at) * WORKGROUP * ELEMENTS + at.thread;
  for (var e = 0u; e < ELEMENTS; e++) {
    let i = first + e * WORKGROUP;
    if (i >= params.outer * params.n * params.inner) { return; }
    let o = params.y_start + i / (params.n * params.inner) * params.inner + i % params.inner;
    let largest = x[params.x_start + i] == y[o];
    out[params.out_start + i] = select(0.0, dy[o], largest) / count[o];
  }
}
