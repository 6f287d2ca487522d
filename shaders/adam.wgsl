// Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019), in the order of torch.optim:
//   DECOUPLED (AdamW): p *= 1 - lr * weight_decay;  else (Adam): g += weight_decay * p
//   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// with g scaled by now[0].x, and t the steps that this parameter has taken. Where now[0].y is 0, a gradient was not
// finite: nothing changes.
//
// step         one parameter, p0, with m and v.
// step3        up to three small ones, p0 to p2, with the moments of all in one buffer: a dispatch costs as much as some
//              thousand elements, and 8 storage buffers are what every adapter binds. Each thread does its share of p0,
//              then of p1, then of p2.
// Layout       p, g, m, v: the same number of float32, contiguous. moments: m and v of p0, of p1, of p2, each `vecs`
//              vec4s. now: [scale, finite], then [1 - b1^t, sqrt(1 - b2^t)] of every parameter (step-counts.wgsl).
// Grid         elementwise (see accumulate.wgsl) over the largest parameter.
// Host         `vecs` is 0 where there is no parameter or no gradient; something is bound there all the same.
// Determinism  every element has one writer; both entry points give the same bits.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;
override DECOUPLED: bool = true;

struct Params {
  vecs: vec3<u32>, // of p0, p1, p2
  slots: vec3<u32>, // their places in `now`
  at: vec3<u32>, // where their m begins in `moments`, in vec4s; v follows
  lr: f32,
  beta1: f32,
  beta2: f32,
  rest1: f32, // 1 - b1 and 1 - b2, not of the rounded b: 1 - f32(0.999) is off by 5e-5
  rest2: f32,
  eps: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<storage, read> now: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> p0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> moments: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> p1: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> g1: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> p2: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> g2: array<vec4<f32>>;
@group(0) @binding(10) var<uniform> params: Params;

struct Element { p: vec4<f32>, m: vec4<f32>, v: vec4<f32> }

// @param corrections 1 - b1^t and sqrt(1 - b2^t)
fn moved(old: Element, g: vec4<f32>, scale: f32, corrections: vec2<f32>) -> Element {
  var grad = g * scale;
  var decay = params.lr * params.weight_decay;
  if (!DECOUPLED) {
    grad += params.weight_decay * old.p;
    decay = 0.0;
  }
  let mean = params.beta1 * old.m + params.rest1 * grad;
  let variance = params.beta2 * old.v + params.rest2 * grad * grad;
  let denominator = sqrt(variance) / corrections.y + params.eps;
  let p = old.p * (1.0 - decay) - (params.lr / corrections.x) * mean / denominator;
  return Element(p, mean, variance);
}

@compute @workgroup_size(WORKGROUP)
fn step(at: Invocation) {
  let scale = now[0].x;
  if (now[0].y == 0.0) { return; }
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs.x);
  let corrections = now[params.slots.x];
  for (var i = first; i < end; i += WORKGROUP) {
    let next = moved(Element(p0[i], m[i], v[i]), g0[i], scale, corrections);
    p0[i] = next.p;
    m[i] = next.m;
    v[i] = next.v;
  }
}

// The same, with m and v at these places in `moments`; returns p.
fn moved_at(j: u32, k: u32, p: vec4<f32>, g: vec4<f32>, scale: f32, corrections: vec2<f32>) -> vec4<f32> {
  let next = moved(Element(p, moments[j], moments[k]), g, scale, corrections);
  moments[j] = next.m;
  moments[k] = next.v;
  return next.p;
}

@compute @workgroup_size(WORKGROUP)
fn step3(at: Invocation) {
  let scale = now[0].x;
  if (now[0].y == 0.0) { return; }
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(vec3(first + WORKGROUP * VECS), params.vecs);
  let m_at = params.at;
  let v_at = params.at + params.vecs;
  let by0 = now[params.slots.x];
  let by1 = now[params.slots.y];
  let by2 = now[params.slots.z];
  for (var i = first; i < end.x; i += WORKGROUP) { p0[i] = moved_at(m_at.x + i, v_at.x + i, p0[i], g0[i], scale, by0); }
  for (var i = first; i < end.y; i += WORKGROUP) { p1[i] = moved_at(m_at.y + i, v_at.y + i, p1[i], g1[i], scale, by1); }
  for (var i = first; i < end.z; i += WORKGROUP) { p2[i] = moved_at(m_at.z + i, v_at.z + i, p2[i], g2[i], scale, by2); }
}
