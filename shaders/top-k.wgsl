// Which elements of a row are the largest, and means of them. The order is torch.topk's: descending, a NaN first; of equal
// elements the one at the lowest index.
//
// rank_indices       the k largest of short rows: the rank of an element is the number of those before it in the order; where
//                    it is below k, indices[row, rank] = position. n^2 comparisons, but eight positions share a load.
// sort_indices       the same for long rows: a stable radix sort of the positions by key, lowest digit first; each thread counts and moves
//                    its own run of the row. `scratch` [rows, 2, n] holds the positions between passes.
// rank_mean          out[o, i] = sum over t of weights[o, rank(t)] * s[t], s[t] = x[o, t, i] * mask[o, t]; ranks beyond the last
//                    weight count nothing (HE2RNA's pooling: Schmauch et al. 2020).
// rank_mean_backward dx[o, t, i] = dy[o, i] * weights[o, rank(t)] * mask[o, t].
// active_rows        out[row] = 1 where some x[row, :] > 0, else 0 (HE2RNA's mask of padded tiles).
//
// Layout       x [outer, n, inner] contiguous float32 (inner = 1 for the indices); mask [outer, n]; weights [outer, k]; out, dy of the means
//              [outer, width], of which this dispatch owns `inner` columns from `start` on.
// Grid         rank_indices: one thread per eight positions; the means: one per (outer, inner); the others: rows of threads
//              (shared/row_reduce.wgsl).
// Host         n > 0; k <= n; the means run with MASKED, the indices without (any buffer will do for the mask); sort_indices: an even number of passes, COUNTERS = ROW_THREADS << DIGIT_BITS.
// Determinism  integers, and sums in the order of t; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::order_key::order_key;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override WORKGROUP: u32 = 64u;
override MASKED: bool = false;
override DIGIT_BITS: u32 = 4u;
override COUNTERS: u32 = 4096u;

struct Params { outer: u32, n: u32, inner: u32, k: u32, width: u32, start: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(5) var<storage, read_write> indices: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

// s[o, t, i].
fn score(o: u32, t: u32, i: u32) -> f32 {
  let row = o * params.n + t;
  let value = x[row * params.inner + i];
  if (MASKED) { return value * mask[row]; }
  return value;
}

fn key(o: u32, t: u32, i: u32) -> u32 {
  return order_key(score(o, min(t, params.n - 1u), i));
}

struct Ranks { low: vec4<u32>, high: vec4<u32> }

// The ranks of positions t .. t + 7; meaningless beyond the end.
fn ranks(o: u32, t: u32, i: u32) -> Ranks {
  let low = vec4<u32>(key(o, t, i), key(o, t + 1u, i), key(o, t + 2u, i), key(o, t + 3u, i));
  let high = vec4<u32>(key(o, t + 4u, i), key(o, t + 5u, i), key(o, t + 6u, i), key(o, t + 7u, i));
  let low_at = t + vec4<u32>(0u, 1u, 2u, 3u);
  let high_at = low_at + 4u;
  var result = Ranks();
  for (var u = 0u; u < params.n; u++) {
    let other = vec4<u32>(key(o, u, i));
    let at = vec4<u32>(u);
    // An equal key at a lower position comes before, too: key >= k there is key > k - 1.
    result.low += vec4<u32>(other > low - vec4<u32>(at < low_at));
    result.high += vec4<u32>(other > high - vec4<u32>(at < high_at));
  }
  return result;
}

fn rank_of(found: Ranks, j: u32) -> u32 {
  if (j < 4u) { return found.low[j]; }
  return found.high[j - 4u];
}

@compute @workgroup_size(WORKGROUP)
fn rank_indices(at: Invocation) {
  let blocks = (params.n + 7u) / 8u;
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.outer * blocks) { return; }
  let row = index / blocks;
  let t = (index % blocks) * 8u;
  let found = ranks(row, t, 0u);
  for (var j = 0u; j < min(8u, params.n - t); j++) {
    let rank = rank_of(found, j);
    if (rank < params.k) { indices[row * params.k + rank] = t + j; }
  }
}

@compute @workgroup_size(WORKGROUP)
fn rank_mean(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.outer * params.inner) { return; }
  let o = index / params.inner;
  let i = index % params.inner;
  var total = 0.0;
  for (var t = 0u; t < params.n; t += 8u) {
    let found = ranks(o, t, i);
    for (var j = 0u; j < min(8u, params.n - t); j++) {
      let rank = rank_of(found, j);
      if (rank < params.k) { total += weights[o * params.k + rank] * score(o, t + j, i); }
    }
  }
  out[o * params.width + params.start + i] = total;
}

@compute @workgroup_size(WORKGROUP)
fn rank_mean_backward(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.outer * params.inner) { return; }
  let o = index / params.inner;
  let i = index % params.inner;
  let grad = dy[o * params.width + params.start + i];
  for (var t = 0u; t < params.n; t += 8u) {
    let found = ranks(o, t, i);
    for (var j = 0u; j < min(8u, params.n - t); j++) {
      let rank = rank_of(found, j);
      let row = o * params.n + t + j;
      var value = 0.0;
      if (rank < params.k) { value = grad * weights[o * params.k + rank] * mask[row]; }
      out[row * params.inner + i] = value;
    }
  }
}

var<workgroup> counters: array<u32, COUNTERS>; // per row: [digit from the largest down][thread of the row]
var<workgroup> thread_totals: array<u32, ROW_THREADS>;

fn wait() {
  if (THREADS_PER_ROW > 1u) {
    storageBarrier();
    workgroupBarrier();
  }
}

// The position that is j-th in the order of the previous pass.
fn position(row: u32, stage: u32, j: u32) -> u32 {
  if (stage == 0u) { return j; }
  return scratch[(row * 2u + stage % 2u) * params.n + j];
}

fn counter(at: Invocation, row: u32, t: u32, shift: u32) -> u32 {
  let digits = 1u << DIGIT_BITS;
  let digit = (order_key(x[row * params.n + t]) >> shift) & (digits - 1u);
  return (at.thread - row_lane(at)) * digits + (digits - 1u - digit) * THREADS_PER_ROW + row_lane(at);
}

@compute @workgroup_size(ROW_THREADS)
fn sort_indices(at: Invocation) {
  let index = row_index(at);
  let row = min(index, params.outer - 1u);
  let lane = row_lane(at);
  let digits = 1u << DIGIT_BITS;
  let run = (params.n + THREADS_PER_ROW - 1u) / THREADS_PER_ROW;
  let start = min(lane * run, params.n);
  let to = select(start, min(start + run, params.n), index == row); // nothing to do beyond the last row
  let first = (at.thread - lane) * digits;
  let stages = 32u / DIGIT_BITS;
  for (var stage = 0u; stage < stages; stage++) {
    let shift = stage * DIGIT_BITS;
    for (var d = 0u; d < digits; d++) { counters[first + d * THREADS_PER_ROW + lane] = 0u; }
    for (var j = start; j < to; j++) { counters[counter(at, row, position(row, stage, j), shift)] += 1u; }
    wait();
    // From numbers to first places: each thread adds up `digits` neighbouring counters, then what is before them.
    var total = 0u;
    for (var d = 0u; d < digits; d++) { total += counters[first + lane * digits + d]; }
    thread_totals[at.thread] = total;
    wait();
    var place = 0u;
    for (var other = 0u; other < lane; other++) { place += thread_totals[at.thread - lane + other]; }
    for (var d = 0u; d < digits; d++) {
      let count = counters[first + lane * digits + d];
      counters[first + lane * digits + d] = place;
      place += count;
    }
    wait();
    for (var j = start; j < to; j++) {
      let t = position(row, stage, j);
      let c = counter(at, row, t, shift);
      let p = counters[c];
      counters[c] = p + 1u;
      if (stage + 1u < stages) {
        scratch[(row * 2u + (stage + 1u) % 2u) * params.n + p] = t;
      } else if (p < params.k) {
        indices[row * params.k + p] = t;
      }
    }
    wait();
  }
}

@compute @workgroup_size(ROW_THREADS)
fn active_rows(at: Invocation) {
  let index = row_index(at);
  let row = min(index, params.outer - 1u);
  var above = 0.0;
  for (var j = row_lane(at); j < params.n; j += THREADS_PER_ROW) {
    above += select(0.0, 1.0, x[row * params.n + j] > 0.0);
  }
  above = row_sum(above, at.thread);
  if (index == row && row_lane(at) == 0u) { out[row] = min(above, 1.0); }
}
