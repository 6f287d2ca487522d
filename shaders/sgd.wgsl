// Stochastic gradient descent (torch.optim.SGD; Sutskever et al. 2013):
//   g = scale * g + weight_decay * p
//   momentum:  b = momentum * b + (1 - dampening) * g;  then g = b, or with NESTEROV g + momentum * b
//   p -= lr * g
// with scale = now[0].x. Where now[0].y is 0, a gradient was not finite: nothing changes.
//
// plain        without momentum; one parameter, p0.
// momentum     with it; b starts as zeros, and in a parameter's first step 1 - dampening is 1.
// plain3       up to three small parameters, as adam.wgsl's step3 does.
// momentum3    the same with momentum, and the b of all in `moments`.
// Layout       p, g, momentum_buffer (b): the same number of float32, contiguous. moments: the b of p0, p1, p2, each
//              `vecs` vec4s. now: [scale, finite], then [1 - dampening, 0] of every parameter (step-counts.wgsl).
// Grid         elementwise (see accumulate.wgsl) over the largest parameter.
// Host         `vecs` is 0 where there is no parameter or no gradient; something is bound there all the same.
// Determinism  every element has one writer; all entry points give the same bits.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;
override NESTEROV: bool = false;

struct Params {
  vecs: vec3<u32>, // of p0, p1, p2
  slots: vec3<u32>, // their places in `now`
  at: vec3<u32>, // where their b begins in `moments`, in vec4s
  lr: f32,
  weight_decay: f32,
  momentum: f32,
}

@group(0) @binding(0) var<storage, read> now: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> p0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> momentum_buffer: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> moments: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> p1: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> g1: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> p2: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> g2: array<vec4<f32>>;
@group(0) @binding(9) var<uniform> params: Params;

fn descended(p: vec4<f32>, g: vec4<f32>, scale: f32) -> vec4<f32> {
  return p - params.lr * (g * scale + params.weight_decay * p);
}

@compute @workgroup_size(WORKGROUP)
fn plain(at: Invocation) {
  let scale = now[0].x;
  if (now[0].y == 0.0) { return; }
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs.x);
  for (var i = first; i < end; i += WORKGROUP) { p0[i] = descended(p0[i], g0[i], scale); }
}

@compute @workgroup_size(WORKGROUP)
fn plain3(at: Invocation) {
  let scale = now[0].x;
  if (now[0].y == 0.0) { return; }
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(vec3(first + WORKGROUP * VECS), params.vecs);
  for (var i = first; i < end.x; i += WORKGROUP) { p0[i] = descended(p0[i], g0[i], scale); }
  for (var i = first; i < end.y; i += WORKGROUP) { p1[i] = descended(p1[i], g1[i], scale); }
  for (var i = first; i < end.z; i += WORKGROUP) { p2[i] = descended(p2[i], g2[i], scale); }
}

struct Element { p: vec4<f32>, b: vec4<f32> }

fn moved(old: Element, g: vec4<f32>, scale: f32, undampened: f32) -> Element {
  let grad = g * scale + params.weight_decay * old.p;
  let buffer = params.momentum * old.b + undampened * grad;
  var direction = buffer;
  if (NESTEROV) { direction = grad + params.momentum * buffer; }
  return Element(old.p - params.lr * direction, buffer);
}

@compute @workgroup_size(WORKGROUP)
fn momentum(at: Invocation) {
  let scale = now[0].x;
  if (now[0].y == 0.0) { return; }
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs.x);
  let undampened = now[params.slots.x].x;
  for (var i = first; i < end; i += WORKGROUP) {
    let next = moved(Element(p0[i], momentum_buffer[i]), g0[i], scale, undampened);
    p0[i] = next.p;
    momentum_buffer[i] = next.b;
  }
}

// The same, with b at `j` in `moments`; returns p.
fn moved_at(j: u32, p: vec4<f32>, g: vec4<f32>, scale: f32, undampened: f32) -> vec4<f32> {
  let next = moved(Element(p, moments[j]), g, scale, undampened);
  moments[j] = next.b;
  return next.p;
}

@compute @workgroup_size(WORKGROUP)
fn momentum3(at: Invocation) {
  let scale = now[0].x;
  if (now[0].y == 0.0) { return; }
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(vec3(first + WORKGROUP * VECS), params.vecs);
  let by0 = now[params.slots.x].x;
  let by1 = now[params.slots.y].x;
  let by2 = now[params.slots.z].x;
  for (var i = first; i < end.x; i += WORKGROUP) { p0[i] = moved_at(params.at.x + i, p0[i], g0[i], scale, by0); }
  for (var i = first; i < end.y; i += WORKGROUP) { p1[i] = moved_at(params.at.y + i, p1[i], g1[i], scale, by1); }
  for (var i = first; i < end.z; i += WORKGROUP) { p2[i] = moved_at(params.at.z + i, p2[i], g2[i], scale, by2); }
}
