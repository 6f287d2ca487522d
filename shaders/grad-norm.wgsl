// The L2 norm of all gradients together, and the factor that clips it, without a readback.
//
// squares  partial_sums[first + r] = sum of squares of run r of one gradient (`chunk` elements each).
// finish   clip = [norm, min(1, max_norm / (norm + 1e-6)), finite ? 1 : 0], from all partial sums
//          (torch.nn.utils.clip_grad_norm_); the scale is 0 where the norm is not finite.
//
// Layout       g: `count` contiguous float32; partial_sums: one float32 per run; clip: 3 float32.
// Grid         squares: a row of threads (shared/row_reduce.wgsl) per run; finish: one row.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

struct Params { count: u32, chunk: u32, first: u32, max_norm: f32 }

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial_sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> clip: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(ROW_THREADS)
fn squares(at: Invocation) {
  let run = row_index(at);
  let start = min(run * params.chunk, params.count);
  let to = min(start + params.chunk, params.count);
  var total = 0.0;
  for (var j = start + row_lane(at); j < to; j += THREADS_PER_ROW) { total += g[j] * g[j]; }
  total = row_sum(total, at.thread);
  if (start < to && row_lane(at) == 0u) { partial_sums[params.first + run] = total; }
}

@compute @workgroup_size(ROW_THREADS)
fn finish(at: Invocation) {
  let row = row_index(at);
  var total = 0.0;
  for (var j = row_lane(at); j < params.count; j += THREADS_PER_ROW) { total += partial_sums[j]; }
  let norm = sqrt(row_sum(total, at.thread));
  if (row == 0u && row_lane(at) == 0u) {
    // All exponent bits set means infinite or NaN; comparisons with NaN are not reliable on every driver.
    let finite = (bitcast<u32>(norm) & 0x7f800000u) != 0x7f800000u;
    clip[0] = norm;
    clip[1] = select(0.0, min(1.0, params.max_norm / (norm + 1e-6)), finite);
    clip[2] = select(0.0, 1.0, finite);
  }
}
