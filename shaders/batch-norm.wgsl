// Batch normalisation (Ioffe & Szegedy 2015; torch.nn.functional.batch_norm), per channel c over samples and positions:
//   y = (x - mean) * rstd * weight + bias, rstd = 1 / sqrt(variance + eps), variance without Bessel's correction.
// Gradient, with h = (x - mean) * rstd and means over samples and positions:
//   dweight = sum(dy * h), dbias = sum(dy), dx = rstd * weight * (dy - mean(dy) - h * mean(dy * h));
//   with running statistics, which x does not move, dx = rstd * weight * dy.
//
// Training     statistics -> finish -> normalise; sums -> finish_sums -> backward.   Evaluation: running -> normalise; backward.
// Layout       x, dy, out: [samples, channels, length] contiguous float32, or a part of the samples. The same buffers are also seen
//              as vec4s: those are used where VEC, when `length` counts vec4s. Of out and out4 the one not used is any other buffer.
// Chunks       `per` samples x one of `pieces` runs of a plane, `run` long. Task index = chunk * channels + channel.
// Grid         a row of threads (shared/row_reduce.wgsl) per task; per channel in finish, finish_sums, running.
// Precision    variance from sums over short blocks, relative to the block's first element, merged by Chan, Golub & LeVeque (1979).
//              A mean is kept as shift + offset: in a nearly constant channel with a large mean, rounding the mean to one float32
//              would move every result by much of a deviation. Counts are float32: exact up to 2^24 values per channel.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override VEC: bool = false;
override AFFINE: bool = true; // else weight and bias are not read

const BLOCK = 32u; // loads

struct Params {
  samples: u32,
  channels: u32,
  length: u32,
  per: u32,
  run: u32,
  pieces: u32,
  chunks: u32, // of this part; of all parts in finish and finish_sums
  first: u32, // the part's first chunk among those of all parts
  eps: f32,
  momentum: f32,
  inverse_count: f32, // 1 / values per channel; 0: backward with running statistics
}

// `count` values: their mean is shift + offset, m2 the sum of their squared differences from it.
struct Moments { count: f32, shift: f32, offset: f32, m2: f32 }
struct Channel { shift: f32, offset: f32, rstd: f32, weight: f32, bias: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> partial_moments: array<Moments>;
@group(0) @binding(7) var<storage, read> weight: array<f32>;
@group(0) @binding(8) var<storage, read> bias: array<f32>;
@group(0) @binding(9) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(10) var<storage, read_write> running_var: array<f32>;
@group(0) @binding(11) var<storage, read_write> table: array<Channel>;
@group(0) @binding(12) var<storage, read> channel_of: array<Channel>; // the table, finished
@group(0) @binding(13) var<storage, read_write> partial_sums: array<vec2<f32>>; // of dy, dy * h
@group(0) @binding(14) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(15) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(16) var<storage, read_write> means: array<vec2<f32>>; // of dy, dy * h
@group(0) @binding(17) var<storage, read> mean_of: array<vec2<f32>>; // those, finished
@group(0) @binding(18) var<uniform> params: Params;

var<workgroup> moments_scratch: array<Moments, ROW_THREADS>;

struct Span { channel: u32, sample: u32, last_sample: u32, begin: u32, end: u32 }

fn span(index: u32) -> Span {
  let task = min(index, params.chunks * params.channels - 1u);
  let chunk = task / params.channels;
  let sample = (chunk / params.pieces) * params.per;
  let begin = (chunk % params.pieces) * params.run;
  return Span(
    task % params.channels,
    sample, min(sample + params.per, params.samples),
    begin, min(begin + params.run, params.length),
  );
}

fn plane(sample: u32, channel: u32) -> u32 {
  return (sample * params.channels + channel) * params.length;
}

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

fn total_of(sums: vec4<f32>) -> f32 {
  if (VEC) { return (sums.x + sums.y) + (sums.z + sums.w); }
  return sums.x;
}

fn normalised(value: vec4<f32>, c: Channel) -> vec4<f32> {
  return ((value - c.shift) - c.offset) * c.rstd;
}

// The larger set keeps its shift: what rounding does to the mean is then small against the joint deviation.
fn merge(a: Moments, b: Moments) -> Moments {
  var most = a;
  var least = b;
  if (b.count > a.count) {
    most = b;
    least = a;
  }
  if (least.count == 0.0) { return most; }
  let count = most.count + least.count;
  let share = least.count / count;
  let apart = (least.shift - most.shift) + (least.offset - most.offset);
  return Moments(count, most.shift, most.offset + apart * share, most.m2 + least.m2 + apart * apart * most.count * share);
}

fn row_merge(value: Moments, thread: u32) -> Moments {
  if (THREADS_PER_ROW == 1u) { return value; }
  let lane = thread % THREADS_PER_ROW;
  moments_scratch[thread] = value;
  workgroupBarrier();
  for (var s = THREADS_PER_ROW / 2u; s > 0u; s = s / 2u) {
    if (lane < s) { moments_scratch[thread] = merge(moments_scratch[thread], moments_scratch[thread + s]); }
    workgroupBarrier();
  }
  return moments_scratch[thread - lane];
}

@compute @workgroup_size(ROW_THREADS)
fn statistics(at: Invocation) {
  let index = row_index(at);
  let s = span(index);
  let start = s.begin + row_lane(at);
  var total = Moments(0.0, 0.0, 0.0, 0.0);
  var l = start;
  var n = select(s.last_sample, s.sample, start < s.end);
  while (n < s.last_sample) {
    let shift = load_x(plane(n, s.channel) + l).x;
    var sums = vec4<f32>(0.0);
    var squares = vec4<f32>(0.0);
    var loads = 0.0;
    for (var j = 0u; j < BLOCK && n < s.last_sample; j++) {
      let d = load_x(plane(n, s.channel) + l) - shift;
      sums += d;
      squares += d * d;
      loads += 1.0;
      l += THREADS_PER_ROW;
      if (l >= s.end) {
        l = start;
        n++;
      }
    }
    let count = select(loads, 4.0 * loads, VEC);
    let sum = total_of(sums);
    let offset = sum / count;
    total = merge(total, Moments(count, shift, offset, total_of(squares) - sum * offset));
  }
  total = row_merge(total, at.thread);
  if (index < params.chunks * params.channels && row_lane(at) == 0u) {
    partial_moments[params.first * params.channels + index] = total;
  }
}

fn entry_of(c: u32, shift: f32, offset: f32, variance: f32) -> Channel {
  let rstd = 1.0 / sqrt(variance + params.eps);
  if (AFFINE) { return Channel(shift, offset, rstd, weight[c], bias[c]); }
  return Channel(shift, offset, rstd, 1.0, 0.0);
}

// Merges the chunks of a channel, and moves its running statistics: variance with Bessel's correction there.
@compute @workgroup_size(ROW_THREADS)
fn finish(at: Invocation) {
  let index = row_index(at);
  let c = min(index, params.channels - 1u);
  var total = Moments(0.0, 0.0, 0.0, 0.0);
  for (var k = row_lane(at); k < params.chunks; k += THREADS_PER_ROW) {
    total = merge(total, partial_moments[k * params.channels + c]);
  }
  total = row_merge(total, at.thread);
  if (index >= params.channels || row_lane(at) != 0u) { return; }
  // A shift near the mean, so that the offset is small whatever the first value was. Without its last bits: compilers
  // see that (a + b) - a is b, but not through this.
  let mean = total.shift + total.offset;
  let shift = bitcast<f32>(bitcast<u32>(mean) & 0xfffffff0u);
  let offset = (total.shift - shift) + total.offset;
  table[c] = entry_of(c, shift, offset, total.m2 / total.count);
  let old = 1.0 - params.momentum;
  running_mean[c] = old * running_mean[c] + params.momentum * mean;
  running_var[c] = old * running_var[c] + params.momentum * (total.m2 / (total.count - 1.0));
}

@compute @workgroup_size(ROW_THREADS)
fn running(at: Invocation) {
  let c = row_index(at);
  if (c >= params.channels) { return; }
  table[c] = entry_of(c, running_mean[c], 0.0, running_var[c]);
}

@compute @workgroup_size(ROW_THREADS)
fn normalise(at: Invocation) {
  let index = row_index(at);
  if (index >= params.chunks * params.channels) { return; }
  let s = span(index);
  let c = channel_of[s.channel];
  for (var n = s.sample; n < s.last_sample; n++) {
    let begin = plane(n, s.channel);
    for (var l = s.begin + row_lane(at); l < s.end; l += THREADS_PER_ROW) {
      store(begin + l, normalised(load_x(begin + l), c) * c.weight + c.bias);
    }
  }
}

@compute @workgroup_size(ROW_THREADS)
fn sums(at: Invocation) {
  let index = row_index(at);
  let s = span(index);
  let c = channel_of[s.channel];
  var plain = vec4<f32>(0.0);
  var weighted = vec4<f32>(0.0);
  for (var n = s.sample; n < s.last_sample; n++) {
    let begin = plane(n, s.channel);
    for (var l = s.begin + row_lane(at); l < s.end; l += THREADS_PER_ROW) {
      let g = load_dy(begin + l);
      plain += g;
      weighted += g * normalised(load_x(begin + l), c);
    }
  }
  let result = vec2<f32>(row_sum(total_of(plain), at.thread), row_sum(total_of(weighted), at.thread));
  if (index < params.chunks * params.channels && row_lane(at) == 0u) {
    partial_sums[params.first * params.channels + index] = result;
  }
}

@compute @workgroup_size(ROW_THREADS)
fn finish_sums(at: Invocation) {
  let index = row_index(at);
  let c = min(index, params.channels - 1u);
  var total = vec2<f32>(0.0);
  for (var k = row_lane(at); k < params.chunks; k += THREADS_PER_ROW) {
    total += partial_sums[k * params.channels + c];
  }
  total = vec2<f32>(row_sum(total.x, at.thread), row_sum(total.y, at.thread));
  if (index >= params.channels || row_lane(at) != 0u) { return; }
  dbias[c] = total.x;
  dweight[c] = total.y;
  means[c] = total * params.inverse_count;
}

@compute @workgroup_size(ROW_THREADS)
fn backward(at: Invocation) {
  let index = row_index(at);
  if (index >= params.chunks * params.channels) { return; }
  let s = span(index);
  let c = channel_of[s.channel];
  let mean = mean_of[s.channel];
  for (var n = s.sample; n < s.last_sample; n++) {
    let begin = plane(n, s.channel);
    for (var l = s.begin + row_lane(at); l < s.end; l += THREADS_PER_ROW) {
      var g = load_dy(begin + l);
      if (params.inverse_count > 0.0) { g = (g - mean.x) - normalised(load_x(begin + l), c) * mean.y; }
      store(begin + l, g * (c.rstd * c.weight));
    }
  }
}
