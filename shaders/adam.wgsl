// Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019), one parameter tensor, in the order of torch.optim:
//   DECOUPLED (AdamW): p *= 1 - lr * weight_decay;  else (Adam): g += weight_decay * p
//   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// with g scaled by clip[1] (see grad-norm.wgsl). Where clip[2] is 0, a gradient was not finite: nothing changes.
//
// Layout       p, g, m, v: the same number of float32, contiguous; clip: [norm, scale, finite].
// Grid         elementwise (see accumulate.wgsl).
// Host         lr and the bias corrections are given anew every step.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;
override DECOUPLED: bool = true;

struct Params {
  vecs: u32,
  lr: f32,
  beta1: f32,
  beta2: f32,
  rest1: f32, // 1 - b1 and 1 - b2, not of the rounded b: 1 - f32(0.999) is off by 5e-5
  rest2: f32,
  eps: f32,
  weight_decay: f32,
  correction1: f32, // 1 - b1^t
  correction2_sqrt: f32, // sqrt(1 - b2^t)
}

@group(0) @binding(0) var<storage, read_write> p: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> clip: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn step(at: Invocation) {
  if (clip[2] == 0.0) { return; }
  let scale = clip[1];
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    var grad = g[i] * scale;
    var decay = params.lr * params.weight_decay;
    if (!DECOUPLED) {
      grad += params.weight_decay * p[i];
      decay = 0.0;
    }
    let mean = params.beta1 * m[i] + params.rest1 * grad;
    let variance = params.beta2 * v[i] + params.rest2 * grad * grad;
    m[i] = mean;
    v[i] = variance;
    let denominator = sqrt(variance) / params.correction2_sqrt + params.eps;
    p[i] = p[i] * (1.0 - decay) - (params.lr / params.correction1) * mean / denominator;
  }
}
