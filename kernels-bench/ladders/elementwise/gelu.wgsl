// GELU as the first versions of unary.wgsl had it, and one float to a thread before that.
//
// single       one thread, one float; WORKGROUP threads to a workgroup.
// vectors      VECS vec4s to a thread, neighbours by neighbouring threads. TAIL: the product's formula instead of erf.
// Layout       x, out: the same `count` float32; those bound as vec4s are read and written to a multiple of 4.
// Precision    erf by Abramowitz & Stegun 7.1.26 (1.5e-7).
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 256u;
override VECS: u32 = 1u;
override TAIL: bool = false;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn by_erf(v: vec4<f32>) -> vec4<f32> {
  let a = abs(v) * 0.70710678;
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return 0.5 * v * (1.0 + sign(v) * (1.0 - poly * exp(-a * a)));
}

fn by_tail(v: vec4<f32>) -> vec4<f32> {
  let a = abs(v);
  let t = 1.0 / fma(a, vec4<f32>(0.23164189), vec4<f32>(1.0));
  var series = fma(t, vec4<f32>(0.530702715), vec4<f32>(-0.726576014));
  series = fma(t, series, vec4<f32>(0.710706871));
  series = fma(t, series, vec4<f32>(-0.142248368));
  let tail = t * fma(t, series, vec4<f32>(0.127414796)) * exp2(-0.72134752 * v * v);
  return fma(-a, tail, max(v, vec4<f32>(0.0)));
}

@compute @workgroup_size(WORKGROUP)
fn single(at: Invocation) {
  let i = group_index(at) * WORKGROUP + at.thread;
  if (i < params.count) { out[i] = by_erf(vec4<f32>(x[i])).x; }
}

@compute @workgroup_size(WORKGROUP)
fn vectors(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) {
    if (TAIL) { out4[i] = by_tail(x4[i]); } else { out4[i] = by_erf(x4[i]); }
  }
}
