// k-means (Lloyd 1982) with k-means++ seeding (Arthur & Vassilvitskii 2007): x [n, d], centroids [k, d].
//
// seeds    out[i, t] = |x_i - x_candidate(t)|^2 for eight rows of x as candidates, four in `near`, four in `far`.
// assign   labels[i] = the j with the least |c_j|^2 - 2 product[i, j], product = x centroids^T; among equals the lowest j.
//          out[i] = |x_i - c_label|^2, as a sum of squared differences.
// partial  out[r] = sum of the rows order[starts[r]] .. order[starts[r + 1] - 1] of x.
// means    centroids[j] = the sum of rows starts[j] .. starts[j + 1] - 1 of x (here: the partial sums) divided by counts[j];
//          where that is 0, the centroid stays.
//
// Layout       contiguous float32; labels, order, starts, counts as u32. out: [n, 8], [n], [runs, d].
// Grid         seeds: one thread per row; assign: a row of threads (shared/row_reduce.wgsl) per row;
//              partial, means: one thread per (run or cluster, column).
// Host         values are finite; k < 2^24.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_max;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override WORKGROUP: u32 = 64u;
override WIDE: bool = false; // d is a multiple of 4: loads of four columns

struct Params { n: u32, k: u32, d: u32, near: vec4<u32>, far: vec4<u32> }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> centroids: array<f32>;
@group(0) @binding(2) var<storage, read> x4: array<vec4<f32>>; // x again
@group(0) @binding(3) var<storage, read> nearest: array<f32>; // the centroids, to read
@group(0) @binding(4) var<storage, read> nearest4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> squares: array<f32>;
@group(0) @binding(6) var<storage, read> product: array<f32>;
@group(0) @binding(7) var<storage, read> order: array<u32>;
@group(0) @binding(8) var<storage, read> starts: array<u32>;
@group(0) @binding(9) var<storage, read> counts: array<u32>;
@group(0) @binding(10) var<storage, read_write> labels: array<u32>;
@group(0) @binding(11) var<storage, read_write> out: array<f32>;
@group(0) @binding(12) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn seeds(at: Invocation) {
  let i = group_index(at) * WORKGROUP + at.thread;
  if (i >= params.n) { return; }
  var near_sum = vec4<f32>(0.0);
  var far_sum = vec4<f32>(0.0);
  // The candidates' addresses are the same for all threads.
  if (WIDE) {
    let d4 = params.d / 4u;
    let near = params.near * d4;
    let far = params.far * d4;
    for (var c = 0u; c < d4; c++) {
      let value = x4[i * d4 + c];
      let u0 = value - x4[near.x + c];
      let u1 = value - x4[near.y + c];
      let u2 = value - x4[near.z + c];
      let u3 = value - x4[near.w + c];
      near_sum += vec4<f32>(dot(u0, u0), dot(u1, u1), dot(u2, u2), dot(u3, u3));
      let v0 = value - x4[far.x + c];
      let v1 = value - x4[far.y + c];
      let v2 = value - x4[far.z + c];
      let v3 = value - x4[far.w + c];
      far_sum += vec4<f32>(dot(v0, v0), dot(v1, v1), dot(v2, v2), dot(v3, v3));
    }
  } else {
    let near = params.near * params.d;
    let far = params.far * params.d;
    for (var c = 0u; c < params.d; c++) {
      let value = x[i * params.d + c];
      let u = value - vec4<f32>(x[near.x + c], x[near.y + c], x[near.z + c], x[near.w + c]);
      let v = value - vec4<f32>(x[far.x + c], x[far.y + c], x[far.z + c], x[far.w + c]);
      near_sum = fma(u, u, near_sum);
      far_sum = fma(v, v, far_sum);
    }
  }
  for (var t = 0u; t < 4u; t++) {
    out[8u * i + t] = near_sum[t];
    out[8u * i + 4u + t] = far_sum[t];
  }
}

@compute @workgroup_size(ROW_THREADS)
fn assign(at: Invocation) {
  let index = row_index(at);
  let i = min(index, params.n - 1u);
  var least = 3.4028234e38f;
  var own = params.k;
  for (var j = row_lane(at); j < params.k; j += THREADS_PER_ROW) {
    let score = squares[j] - 2.0 * product[i * params.k + j];
    if (score < least) {
      least = score;
      own = j;
    }
  }
  let best = -row_max(-least, at.thread);
  // Of the threads that found the least, the one with the lowest index.
  let label = min(u32(-row_max(-select(f32(params.k), f32(own), least == best), at.thread)), params.k - 1u);
  var total = 0.0;
  if (WIDE) {
    let d4 = params.d / 4u;
    for (var c = row_lane(at); c < d4; c += THREADS_PER_ROW) {
      let difference = x4[i * d4 + c] - nearest4[label * d4 + c];
      total += dot(difference, difference);
    }
  } else {
    for (var c = row_lane(at); c < params.d; c += THREADS_PER_ROW) {
      let difference = x[i * params.d + c] - nearest[label * params.d + c];
      total = fma(difference, difference, total);
    }
  }
  total = row_sum(total, at.thread);
  if (index == i && row_lane(at) == 0u) {
    labels[i] = label;
    out[i] = total;
  }
}

@compute @workgroup_size(WORKGROUP)
fn partial(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.n * params.d) { return; }
  let run = index / params.d;
  let column = index % params.d;
  var total = 0.0;
  for (var s = starts[run]; s < starts[run + 1u]; s++) { total += x[order[s] * params.d + column]; }
  out[index] = total;
}

@compute @workgroup_size(WORKGROUP)
fn means(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.k * params.d) { return; }
  let cluster = index / params.d;
  let count = counts[cluster];
  if (count == 0u) { return; }
  var total = 0.0;
  for (var r = starts[cluster]; r < starts[cluster + 1u]; r++) { total += x[r * params.d + index % params.d]; }
  centroids[index] = total / f32(count);
}
