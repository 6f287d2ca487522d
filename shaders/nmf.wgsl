// Non-negative matrix factorisation by multiplicative updates (Lee & Seung 2001):
//
// update   factor *= numerator / denominator, element by element. A denominator of 0 counts as 2^-23 (scikit-learn).
// squares  partial_sums[r] = sum over run r (`chunk` elements) of (v - wh)^2.
//
// Layout       contiguous float32, `count` elements each.
// Grid         update: elementwise (see accumulate.wgsl); squares: a row of threads (shared/row_reduce.wgsl) per run.
// Determinism  fixed order; one writer per element.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { count: u32, chunk: u32 }

@group(0) @binding(0) var<storage, read_write> factor: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> numerator: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> denominator: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> wh: array<f32>;
@group(0) @binding(5) var<storage, read_write> partial_sums: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn update(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) {
    let divisor = denominator[i];
    factor[i] *= numerator[i] / select(divisor, vec4<f32>(1.1920929e-7), divisor == vec4<f32>(0.0));
  }
}

@compute @workgroup_size(ROW_THREADS)
fn squares(at: Invocation) {
  let run = row_index(at);
  let start = min(run * params.chunk, params.count);
  let to = min(start + params.chunk, params.count);
  var total = 0.0;
  for (var i = start + row_lane(at); i < to; i += THREADS_PER_ROW) {
    let difference = v[i] - wh[i];
    total = fma(difference, difference, total);
  }
  total = row_sum(total, at.thread);
  if (start < to && row_lane(at) == 0u) { partial_sums[run] = total; }
}
