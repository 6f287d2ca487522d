// A step of AdamW for one parameter, in place; the formulas are those of adam.wgsl.
//
// single       one thread, one float.
// vectors      VECS vec4s to a thread, neighbours by neighbouring threads.
// Layout       p, g, m, v: the same `count` float32; those bound as vec4s are read and written to a multiple of 4.
// Host         rate: lr / (1 - b1^t); root: sqrt(1 - b2^t); keep: 1 - lr * weight_decay.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 256u;
override VECS: u32 = 1u;

struct Params {
  count: u32,
  beta1: f32,
  beta2: f32,
  rest1: f32,
  rest2: f32,
  eps: f32,
  rate: f32,
  root: f32,
  keep: f32,
}

@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read_write> p4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> g4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v4: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn single(at: Invocation) {
  let i = group_index(at) * WORKGROUP + at.thread;
  if (i >= params.count) { return; }
  let mean = params.beta1 * m[i] + params.rest1 * g[i];
  let variance = params.beta2 * v[i] + params.rest2 * g[i] * g[i];
  p[i] = p[i] * params.keep - params.rate * mean / (sqrt(variance) / params.root + params.eps);
  m[i] = mean;
  v[i] = variance;
}

@compute @workgroup_size(WORKGROUP)
fn vectors(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) {
    let grad = g4[i];
    let mean = params.beta1 * m4[i] + params.rest1 * grad;
    let variance = params.beta2 * v4[i] + params.rest2 * grad * grad;
    p4[i] = p4[i] * params.keep - params.rate * mean / (sqrt(variance) / params.root + params.eps);
    m4[i] = mean;
    v4[i] = variance;
  }
}
