// The L2 norm of all gradients together, and the factor that clips it, without a readback.
//
// squares  partial_sums[first + r] = sum of squares of run r, counted over up to four gradients (`vecs` vec4s to a run;
//          a run is of one gradient): a dispatch costs as much as some thousand elements.
// finish   clip = [norm, min(1, max_norm / (norm + 1e-6)), finite ? 1 : 0], from all partial sums
//          (torch.nn.utils.clip_grad_norm_); the factor is 0 where the norm is not finite.
// finish_unscaled  the same for gradients that are loss_scale times too large: norm and factor over loss_scale.
//
// Layout       g0 to g3: `counts` contiguous float32, in buffers of whole vec4s; partial_sums: one float32
//              per run; clip: 3 float32; loss_scale: 1 float32.
// Host         where there are fewer gradients their count is 0, and something is bound all the same.
// Grid         squares: a row of threads (shared/row_reduce.wgsl) per run; finish: one row.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

struct Params {
  counts: vec4<u32>, // elements of g0 to g3
  runs: vec4<u32>, // the first run of each
  total: u32, // runs of all four
  vecs: u32,
  first: u32,
  max_norm: f32,
}

@group(0) @binding(0) var<storage, read> g0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> g1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> g3: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> partial_sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> clip: array<f32>;
@group(0) @binding(6) var<storage, read> loss_scale: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

// Squares of the vec4 at `j`, without what lies beyond the last element.
fn squared(quad: vec4<f32>, j: u32, count: u32) -> vec4<f32> {
  let own = select(vec4(0.0), quad, vec4(4u * j) + vec4(0u, 1u, 2u, 3u) < vec4(count));
  return own * own;
}

@compute @workgroup_size(ROW_THREADS)
fn squares(at: Invocation) {
  let run = row_index(at);
  // Of every gradient but the one that the run belongs to, the span is empty.
  let ends = (params.counts + 3u) / 4u;
  let begin = select(ends, min((run - params.runs) * params.vecs, ends), vec4(run) >= params.runs);
  let end = min(begin + params.vecs, ends);
  let start = begin + row_lane(at);
  var sums = vec4(0.0);
  for (var j = start.x; j < end.x; j += THREADS_PER_ROW) { sums += squared(g0[j], j, params.counts.x); }
  for (var j = start.y; j < end.y; j += THREADS_PER_ROW) { sums += squared(g1[j], j, params.counts.y); }
  for (var j = start.z; j < end.z; j += THREADS_PER_ROW) { sums += squared(g2[j], j, params.counts.z); }
  for (var j = start.w; j < end.w; j += THREADS_PER_ROW) { sums += squared(g3[j], j, params.counts.w); }
  let total = row_sum(sums.x + sums.y + sums.z + sums.w, at.thread);
  if (run < params.total && row_lane(at) == 0u) { partial_sums[params.first + run] = total; }
}

fn norm_of_all(at: Invocation) -> f32 {
  var total = 0.0;
  for (var j = row_lane(at); j < params.total; j += THREADS_PER_ROW) { total += partial_sums[j]; }
  return sqrt(row_sum(total, at.thread));
}

// @param unscale what to multiply the gradients by
fn write_clip(norm: f32, unscale: f32) {
  // All exponent bits set means infinite or NaN; comparisons with NaN are not reliable on every driver.
  let finite = (bitcast<u32>(norm) & 0x7f800000u) != 0x7f800000u;
  clip[0] = norm;
  clip[1] = select(0.0, min(1.0, params.max_norm / (norm + 1e-6)) * unscale, finite);
  clip[2] = select(0.0, 1.0, finite);
}

@compute @workgroup_size(ROW_THREADS)
fn finish(at: Invocation) {
  let norm = norm_of_all(at);
  if (row_index(at) == 0u && row_lane(at) == 0u) { write_clip(norm, 1.0); }
}

@compute @workgroup_size(ROW_THREADS)
fn finish_unscaled(at: Invocation) {
  let norm = norm_of_all(at);
  let unscale = 1.0 / loss_scale[0];
  if (row_index(at) == 0u && row_lane(at) == 0u) { write_clip(norm * unscale, unscale); }
}
