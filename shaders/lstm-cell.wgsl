// The gates of an LSTM (Hochreiter & Schmidhuber 1997, in the order of torch.nn.LSTMCell: i, f, g, o) from their sums a:
//   i = sigmoid(a_i), f = sigmoid(a_f), g = tanh(a_g), o = sigmoid(a_o);  c' = f * c + i * g;  h' = o * tanh(c').
// backward: with dh, dc' from dy and e = dc' + dh * o * (1 - tanh(c')^2):
//   da_i = e * g * i * (1 - i), da_f = e * c * f * (1 - f), da_g = e * i * (1 - g^2), da_o = dh * tanh(c') * o * (1 - o), dc = e * f.
//
// Layout       gates, dgates [N, 4H]; c, dc [N, H]; out, dy [N, 2H] = (h' | c'); contiguous float32.
// Grid         one thread per element of c.
// Precision    tanh by exp(-2|x|), with its series near 0; a NaN stays a NaN; no overflow for finite gates.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;

struct Params { rows: u32, hidden: u32 }

@group(0) @binding(0) var<storage, read> gates: array<f32>;
@group(0) @binding(1) var<storage, read> c: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> dgates: array<f32>;
@group(0) @binding(5) var<storage, read_write> dc: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

fn is_nan(v: vec4<f32>) -> vec4<bool> {
  return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn tanh4(v: vec4<f32>) -> vec4<f32> {
  let t = exp(-2.0 * abs(v));
  let v2 = v * v;
  let near = v * (1.0 + v2 * (-0.33333333 + v2 * (0.13333333 - v2 * 0.053968254)));
  let far = sign(v) * (1.0 - t) / (1.0 + t);
  return select(select(far, near, abs(v) < vec4<f32>(0.15)), v, is_nan(v));
}

// i, f, g, o of element j of row n.
fn activate(n: u32, j: u32) -> vec4<f32> {
  let at = 4u * n * params.hidden + j;
  let h = params.hidden;
  let a = vec4<f32>(gates[at], gates[at + h], gates[at + 2u * h], gates[at + 3u * h]);
  let s = select(1.0 / (1.0 + exp(-a)), a, is_nan(a));
  return vec4<f32>(s.xy, tanh4(a).z, s.w);
}

fn next_c(index: u32, gate: vec4<f32>) -> f32 {
  return gate.y * c[index] + gate.x * gate.z;
}

@compute @workgroup_size(WORKGROUP)
fn forward(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.rows * params.hidden) { return; }
  let n = index / params.hidden;
  let j = index % params.hidden;
  let gate = activate(n, j);
  let cell = next_c(index, gate);
  out[2u * n * params.hidden + j] = gate.w * tanh4(vec4<f32>(cell)).x;
  out[(2u * n + 1u) * params.hidden + j] = cell;
}

@compute @workgroup_size(WORKGROUP)
fn backward(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.rows * params.hidden) { return; }
  let n = index / params.hidden;
  let j = index % params.hidden;
  let gate = activate(n, j);
  let t = tanh4(vec4<f32>(next_c(index, gate))).x;
  let dh = dy[2u * n * params.hidden + j];
  let e = dy[(2u * n + 1u) * params.hidden + j] + dh * gate.w * (1.0 - t * t);
  let da = vec4<f32>(e * gate.z, e * c[index], e * gate.x, dh * t)
    * vec4<f32>(gate.xy * (1.0 - gate.xy), 1.0 - gate.z * gate.z, gate.w * (1.0 - gate.w));
  for (var q = 0u; q < 4u; q++) { dgates[(4u * n + q) * params.hidden + j] = da[q]; }
  dc[index] = e * gate.y;
}
