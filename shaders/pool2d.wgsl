// Pooling of planes (torch.nn.functional.max_pool2d, avg_pool2d, adaptive_{max,avg}_pool2d): the maximum or the mean of each window
// of x [planes, size.y, size.x] to y [planes, out_size.y, out_size.x].
//   Windows: of output o, input o * stride - padding + k * dilation, k < kernel; those outside of the plane are left out.
//   ADAPTIVE: floor(o * size / out_size) up to, not including, ceil((o + 1) * size / out_size).
// Gradients in gather form: each input asks the windows that cover it (but for maximum_scatter).
//
// Layout       contiguous float32, or a part of the planes; picks: u32, the place of each maximum in its plane (y * width + x).
// Grid         a row of threads (shared/row_reduce.wgsl) per line of what is written; per plane in `whole_average` and its gradient, and
//              in `maximum_scatter`, where it is one thread.
// Host         every window has an input within the plane; sides, windows with their gaps and strides are below 2^19 (see quotient);
//              adaptive: (size + 1) * (out_size + 1) is at most 2^31.
// Maximum      a NaN wins (PyTorch); of equal values the first.
// Precision    `whole_average` adds runs of 64, then those.
// Determinism  every element has one writer, fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override ADAPTIVE: bool = false;

struct Params {
  planes: u32,
  count_padding: u32, // 1: means divide by the window with its padding
  size: vec2<i32>,
  out_size: vec2<i32>,
  kernel: vec2<i32>,
  stride: vec2<i32>,
  padding: vec2<i32>,
  dilation: vec2<i32>,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> picks: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> places: array<u32>; // the picks, as they are written
@group(0) @binding(5) var<uniform> params: Params;

// a / b for 0 <= a < 1.6 * 2^20: in float, because CPU rasterisers divide integers lane by lane. The half keeps the quotient
// further from the next integer than division can be wrong.
fn quotient(a: i32, b: i32) -> i32 {
  return i32((f32(a) + 0.5) / f32(b));
}

// Inputs begin, begin + step, ... < end within the plane; `full` is their number with the padding.
struct Window { begin: i32, end: i32, full: i32 }

fn window(o: i32, d: u32) -> Window {
  let size = params.size[d];
  if (ADAPTIVE) {
    let n = params.out_size[d];
    let begin = (o * size) / n;
    let end = ((o + 1) * size + n - 1) / n;
    return Window(begin, end, end - begin);
  }
  let step = params.dilation[d];
  let begin = o * params.stride[d] - params.padding[d];
  let last = begin + params.kernel[d] * step;
  let inside = begin + quotient(max(step - 1 - begin, 0), step) * step; // the first that is not negative
  return Window(inside, min(last, size), min(last, size + params.padding[d]) - begin);
}

// The outputs first, ..., last whose windows may hold input i.
fn covering(i: i32, d: u32) -> vec2<i32> {
  let n = params.out_size[d];
  if (ADAPTIVE) {
    let size = params.size[d];
    return vec2<i32>((i * n) / size, ((i + 1) * n + size - 1) / size - 1);
  }
  let stride = params.stride[d];
  let end = i + params.padding[d];
  let reach = end - (params.kernel[d] - 1) * params.dilation[d];
  return vec2<i32>(quotient(max(reach, 0) + stride - 1, stride), min(quotient(end, stride), n - 1));
}

fn divisor(wy: Window, wx: Window) -> f32 {
  if (params.count_padding == 1u) { return f32(wy.full * wx.full); }
  return f32((wy.end - wy.begin) * (wx.end - wx.begin));
}

fn is_nan(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

// A line of the planes that are written, of `height` lines.
fn line(at: Invocation, height: i32) -> vec2<i32> { // (plane, y)
  let index = i32(row_index(at));
  return vec2<i32>(index / height, index % height);
}

@compute @workgroup_size(ROW_THREADS)
fn maximum(at: Invocation) {
  let to = line(at, params.out_size.y);
  if (to.x >= i32(params.planes)) { return; }
  let plane = to.x * params.size.y * params.size.x;
  let begin = (to.x * params.out_size.y + to.y) * params.out_size.x;
  let wy = window(to.y, 1u);
  for (var o = i32(row_lane(at)); o < params.out_size.x; o += i32(THREADS_PER_ROW)) {
    let wx = window(o, 0u);
    var place = wy.begin * params.size.x + wx.begin;
    var most = x[plane + place];
    for (var i = wy.begin; i < wy.end; i += params.dilation.y) {
      for (var j = wx.begin; j < wx.end; j += params.dilation.x) {
        let value = x[plane + i * params.size.x + j];
        if (value > most || is_nan(value)) {
          most = value;
          place = i * params.size.x + j;
        }
      }
    }
    out[begin + o] = most;
    places[begin + o] = u32(place);
  }
}

@compute @workgroup_size(ROW_THREADS)
fn average(at: Invocation) {
  let to = line(at, params.out_size.y);
  if (to.x >= i32(params.planes)) { return; }
  let plane = to.x * params.size.y * params.size.x;
  let begin = (to.x * params.out_size.y + to.y) * params.out_size.x;
  let wy = window(to.y, 1u);
  for (var o = i32(row_lane(at)); o < params.out_size.x; o += i32(THREADS_PER_ROW)) {
    let wx = window(o, 0u);
    var total = 0.0;
    for (var i = wy.begin; i < wy.end; i++) {
      var of_line = 0.0;
      for (var j = wx.begin; j < wx.end; j++) { of_line += x[plane + i * params.size.x + j]; }
      total += of_line;
    }
    out[begin + o] = total / divisor(wy, wx);
  }
}

@compute @workgroup_size(ROW_THREADS)
fn whole_average(at: Invocation) {
  let index = row_index(at);
  let count = u32(params.size.y * params.size.x);
  let begin = min(index, params.planes - 1u) * count;
  var total = 0.0;
  var run = 0.0;
  var added = 0u;
  for (var j = row_lane(at); j < count; j += THREADS_PER_ROW) {
    run += x[begin + j];
    added++;
    if (added == 64u) {
      total += run;
      run = 0.0;
      added = 0u;
    }
  }
  total = row_sum(total + run, at.thread);
  if (index < params.planes && row_lane(at) == 0u) { out[index] = total / f32(count); }
}

@compute @workgroup_size(ROW_THREADS)
fn whole_average_backward(at: Invocation) {
  let index = row_index(at);
  if (index >= params.planes) { return; }
  let count = u32(params.size.y * params.size.x);
  let share = dy[index] / f32(count);
  for (var j = row_lane(at); j < count; j += THREADS_PER_ROW) { out[index * count + j] = share; }
}

@compute @workgroup_size(ROW_THREADS)
fn maximum_backward(at: Invocation) {
  let to = line(at, params.size.y);
  if (to.x >= i32(params.planes)) { return; }
  let plane = to.x * params.out_size.y * params.out_size.x;
  let rows = covering(to.y, 1u);
  for (var i = i32(row_lane(at)); i < params.size.x; i += i32(THREADS_PER_ROW)) {
    let columns = covering(i, 0u);
    let place = u32(to.y * params.size.x + i);
    var total = 0.0;
    for (var oy = rows.x; oy <= rows.y; oy++) {
      for (var ox = columns.x; ox <= columns.y; ox++) {
        let o = plane + oy * params.out_size.x + ox;
        if (picks[o] == place) { total += dy[o]; }
      }
    }
    out[(to.x * params.size.y + to.y) * params.size.x + i] = total;
  }
}

// The same in scatter form, for CPU rasterisers: one thread to a plane, whose `out` is zero before.
@compute @workgroup_size(ROW_THREADS)
fn maximum_scatter(at: Invocation) {
  let plane = row_index(at);
  if (plane >= params.planes) { return; }
  let to = plane * u32(params.size.y * params.size.x);
  let count = u32(params.out_size.y * params.out_size.x);
  for (var o = plane * count; o < (plane + 1u) * count; o++) { out[to + picks[o]] += dy[o]; }
}

@compute @workgroup_size(ROW_THREADS)
fn average_backward(at: Invocation) {
  let to = line(at, params.size.y);
  if (to.x >= i32(params.planes)) { return; }
  let plane = to.x * params.out_size.y * params.out_size.x;
  let rows = covering(to.y, 1u);
  for (var i = i32(row_lane(at)); i < params.size.x; i += i32(THREADS_PER_ROW)) {
    let columns = covering(i, 0u);
    var total = 0.0;
    for (var oy = rows.x; oy <= rows.y; oy++) {
      let wy = window(oy, 1u);
      for (var ox = columns.x; ox <= columns.y; ox++) {
        total += dy[plane + oy * params.out_size.x + ox] / divisor(wy, window(ox, 0u));
      }
    }
    out[(to.x * params.size.y + to.y) * params.size.x + i] = total;
  }
}
