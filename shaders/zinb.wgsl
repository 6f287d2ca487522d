// Negative log-likelihood of counts x under a zero-inflated negative binomial (Eraslan et al. 2019; written as in
// scDCC and Hist2ST): with mean m, dispersion d, probability p of a dropout, eps = 1e-10 by default,
//   x = 0:  -log(p + (1 - p) (d / (d + m + eps))^d + eps)
//   x > 0:  lgamma(t) + lgamma(x + 1) - lgamma(x + t) + (t + x) log(1 + m / t) + x (log t - log(m + eps))
//           - log(1 - p + eps),  t = d + eps
// plus ridge p^2: partial sums, times `scale`, over runs of `chunk` elements, and the gradients for m, d and p.
//
// Layout       x, m, d, p, dm, dd, dp: `count` contiguous float32, x >= 0, m > 0, d > 0, 0 <= p <= 1; out: one sum per
//              run, from `first_run` on; g: the gradient of the sum.
// Grid         forward: a row of threads (shared/row_reduce.wgsl) per run, `chunk` a multiple of 4; backward: elementwise.
// Precision    the lgammas, each of which may be 1e5 times their sum, are subtracted by Stirling's series before they
//              are computed; powers and ratios by log1p.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;
import package::shared::special::keep_nan;
import package::shared::special::log4;
import package::shared::special::log1p4;
import package::shared::special::expm1_4;
import package::shared::special::lgamma4;
import package::shared::special::digamma4;
import package::shared::special::stirling_rest;
import package::shared::special::digamma_rest;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params { count: u32, chunk: u32, first_run: u32, scale: f32, ridge: f32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> p: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> g: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> dm: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> dd: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> dp: array<vec4<f32>>;
@group(0) @binding(9) var<uniform> params: Params;

// lgamma(t) + lgamma(x + 1) - lgamma(x + t) = lgamma(small) - (lgamma(large + small - 1) - lgamma(large)), where small
// and large are t and x + 1: nothing here is much larger than the result.
fn lgamma_terms(count: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
  let small = min(t, count + 1.0);
  let large = max(t, count + 1.0);
  let y = count + t;
  let by_series = (large >= vec4<f32>(8.0)) & (y >= vec4<f32>(7.0));
  let step = small - 1.0;
  let series = (large - 0.5) * log1p4(step / large) + step * (log4(y) - 1.0) + stirling_rest(y) - stirling_rest(large);
  var terms = lgamma4(small);
  for (var k = 0u; k < 2u; k++) {
    let term = lgamma4(select(large, y, k == 1u));
    terms += select(select(term, -term, k == 1u), vec4<f32>(0.0), by_series);
  }
  return terms - select(vec4<f32>(0.0), series, by_series);
}

fn is_zero(count: vec4<f32>) -> vec4<bool> {
  return count <= vec4<f32>(1e-8);
}

// The logarithm of (d / (d + m + eps))^d.
fn log_zero(mu: vec4<f32>, disp: vec4<f32>) -> vec4<f32> {
  return -disp * log1p4((mu + params.eps) / max(disp, vec4<f32>(1e-30)));
}

fn loss(i: u32) -> vec4<f32> {
  let count = x[i];
  let mu = m[i];
  let disp = d[i];
  let pi = p[i];
  let t = disp + params.eps;
  let positive = lgamma_terms(count, t) + t * log1p4(mu / t) + count * log1p4(disp / (mu + params.eps))
    - log4(1.0 - pi + params.eps);
  let zero = -log4(pi + (1.0 - pi) * exp(log_zero(mu, disp)) + params.eps);
  let value = select(positive, zero, is_zero(count)) + params.ridge * pi * pi;
  return keep_nan(count, keep_nan(mu, keep_nan(disp, keep_nan(pi, value))));
}

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let run = row_index(at);
  let start = min(run * params.chunk, params.count);
  let to = min(start + params.chunk, params.count);
  var total = vec4<f32>(0.0);
  for (var j = start + 4u * row_lane(at); j < to; j += 4u * THREADS_PER_ROW) {
    let within = vec4<u32>(j, j + 1u, j + 2u, j + 3u) < vec4<u32>(to);
    total += select(vec4<f32>(0.0), loss(j / 4u), within);
  }
  let sum = row_sum((total.x + total.y) + (total.z + total.w), at.thread);
  if (start < to && row_lane(at) == 0u) { out[params.first_run + run] = sum * params.scale; }
}

// d/dt of lgamma_terms, -(digamma(x + t) - digamma(t)); without cancellation where t is large.
fn digamma_terms(count: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
  let y = count + t;
  let series = log1p4(count / t) + digamma_rest(y) - digamma_rest(t);
  return select(digamma4(t) - digamma4(y), -series, t >= vec4<f32>(8.0));
}

@compute @workgroup_size(WORKGROUP)
fn backward(at: Invocation) {
  let factor = g[0] * params.scale;
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) {
    let count = x[i];
    let mu = m[i];
    let disp = d[i];
    let pi = p[i];
    let eps = params.eps;
    let t = disp + eps;
    let whole = disp + mu + eps;
    let at_zero = is_zero(count);
    let exponent = log_zero(mu, disp);
    let chance = exp(exponent);
    let total = pi + (1.0 - pi) * chance + eps;
    let weight = (1.0 - pi) * chance / total;
    let to_mean = select(disp * (mu - count) / (whole * (mu + eps)), weight * disp / whole, at_zero);
    let of_zero = weight * (log1p4((mu + eps) / max(disp, vec4<f32>(1e-30))) - (mu + eps) / whole);
    let of_positive = digamma_terms(count, t) + log1p4(mu / t) + (count - mu) / whole;
    let of_dropout = select(1.0 / (1.0 - pi + eps), expm1_4(exponent) / total, at_zero);
    dm[i] = factor * keep_nan(count, to_mean);
    dd[i] = factor * keep_nan(count, select(of_positive, of_zero, at_zero));
    dp[i] = factor * keep_nan(count, of_dropout + 2.0 * params.ridge * pi);
  }
}
