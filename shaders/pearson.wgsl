// Pearson's correlation of each column of x and y [rows, n], and its gradient for x:
//   r = <xm, ym> / (|xm| |ym| + eps),  dx = (g / (|xm| |ym| + eps)) (ym - r xm |ym| / |xm|),  xm = x - mean(x).
// A column that is constant in x or in y has r = 0 and gradient 0. Its mean is refined once, so that the rounding of
// a sum does not turn a constant into noise.
//
// Layout       x, y, out of backward: contiguous float32; r, g: [n]; stats: [5, n], the means of x and y, |xm|, |ym|, r.
// Grid         one thread per column: neighbouring threads read neighbouring columns.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;

struct Params { rows: u32, n: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats_out: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn forward(at: Invocation) {
  let column = group_index(at) * WORKGROUP + at.thread;
  if (column >= params.n) { return; }
  let end = params.rows * params.n;
  var means = vec2<f32>(0.0);
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    var total = vec2<f32>(0.0);
    for (var i = column; i < end; i += params.n) { total += vec2<f32>(x[i], y[i]) - means; }
    means += total / f32(params.rows);
  }
  var squares = vec2<f32>(0.0);
  var product = 0.0;
  for (var i = column; i < end; i += params.n) {
    let d = vec2<f32>(x[i], y[i]) - means;
    squares += d * d;
    product += d.x * d.y;
  }
  let norms = sqrt(squares);
  var r = product / (norms.x * norms.y + params.eps);
  if (norms.x * norms.y == 0.0) { r = 0.0; } // eps may be 0
  out[column] = r;
  stats_out[column] = means.x;
  stats_out[params.n + column] = means.y;
  stats_out[2u * params.n + column] = norms.x;
  stats_out[3u * params.n + column] = norms.y;
  stats_out[4u * params.n + column] = r;
}

// For y, the host swaps x and y, and SWAPPED finds their statistics.
override SWAPPED: u32 = 0u;

@compute @workgroup_size(WORKGROUP)
fn backward(at: Invocation) {
  let column = group_index(at) * WORKGROUP + at.thread;
  if (column >= params.n) { return; }
  let end = params.rows * params.n;
  let mean_x = stats[SWAPPED * params.n + column];
  let mean_y = stats[(1u - SWAPPED) * params.n + column];
  let norm_x = stats[(2u + SWAPPED) * params.n + column];
  let norm_y = stats[(3u - SWAPPED) * params.n + column];
  let r = stats[4u * params.n + column];
  var factor = g[column] / (norm_x * norm_y + params.eps);
  var own = r * norm_y / norm_x;
  if (norm_x * norm_y == 0.0) { factor = 0.0; own = 0.0; }
  for (var i = column; i < end; i += params.n) {
    out[i] = factor * ((y[i] - mean_y) - own * (x[i] - mean_x));
  }
}
