// Stochastic gradient descent, one parameter tensor (torch.optim.SGD; Sutskever et al. 2013):
//   g = clip[1] * g + weight_decay * p
//   momentum:  b = momentum * b + (1 - dampening) * g;  then g = b, or with NESTEROV g + momentum * b
//   p -= lr * g
// Where clip[2] is 0 (see grad-norm.wgsl), a gradient was not finite: nothing changes.
//
// plain        without momentum.
// momentum     with it; b starts as zeros, and `undampened` is 1 - dampening, or 1 in a parameter's first step.
// Layout       p, g, momentum_buffer (b): the same number of float32, contiguous; clip: [norm, scale, finite].
// Grid         elementwise (see accumulate.wgsl).
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;
override NESTEROV: bool = false;

struct Params { vecs: u32, lr: f32, weight_decay: f32, momentum: f32, undampened: f32 }

@group(0) @binding(0) var<storage, read_write> p: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> momentum_buffer: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> clip: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn plain(at: Invocation) {
  if (clip[2] == 0.0) { return; }
  let scale = clip[1];
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) { p[i] -= params.lr * (g[i] * scale + params.weight_decay * p[i]); }
}

@compute @workgroup_size(WORKGROUP)
fn momentum(at: Invocation) {
  if (clip[2] == 0.0) { return; }
  let scale = clip[1];
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    let grad = g[i] * scale + params.weight_decay * p[i];
    let buffer = params.momentum * momentum_buffer[i] + params.undampened * grad;
    momentum_buffer[i] = buffer;
    var direction = buffer;
    if (NESTEROV) { direction = grad + params.momentum * buffer; }
    p[i] -= params.lr * direction;
  }
}
