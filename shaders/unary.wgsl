// One-input elementwise functions and their gradients; OP chooses the function when the pipeline is made.
//
// Layout       x, dy, out: the same number of float32, contiguous.
// Grid         elementwise (see accumulate.wgsl).
// Precision    GELU is x * Phi(x) with erf by Abramowitz & Stegun 7.1.26 (absolute error 1.5e-7); tanh by
//              exp(-2|x|), with its series near 0. A NaN stays a NaN (WGSL's max would hide it).
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;
override OP: u32 = 0u; // index in UNARY_FUNCTIONS of src/ops/unary.ts

const RELU = 0u;
const GELU = 1u;
const TANH = 2u;
const SIGMOID = 3u;
const EXP = 4u;
const LOG = 5u;
const SQRT = 6u;
const SQUARE = 7u;
const AFFINE = 8u;

struct Params { vecs: u32, scale: f32, shift: f32 } // scale and shift: AFFINE only

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

// `result`, or the NaN that `v` is: some drivers' exp and log turn one into a number.
fn keep_nan(v: vec4<f32>, result: vec4<f32>) -> vec4<f32> {
  return select(result, v, (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}

fn erf4(v: vec4<f32>) -> vec4<f32> {
  let a = abs(v);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(v) * (1.0 - poly * exp(-a * a));
}

fn tanh4(v: vec4<f32>) -> vec4<f32> {
  let t = exp(-2.0 * abs(v));
  let v2 = v * v;
  let near = v * (1.0 + v2 * (-0.33333333 + v2 * (0.13333333 - v2 * 0.053968254)));
  return select(sign(v) * (1.0 - t) / (1.0 + t), near, abs(v) < vec4<f32>(0.15));
}

fn exp4(v: vec4<f32>) -> vec4<f32> {
  return keep_nan(v, exp(v));
}

fn sigmoid4(v: vec4<f32>) -> vec4<f32> {
  return keep_nan(v, 1.0 / (1.0 + exp(-v)));
}

// Below zero and not NaN, by the bits: a driver may turn select(v, 0, v < 0) into max(v, 0), which loses a NaN.
fn negative(v: vec4<f32>) -> vec4<bool> {
  return (bitcast<vec4<u32>>(v) ^ vec4<u32>(0x80000000u)) <= vec4<u32>(0x7f800000u);
}

fn value(v: vec4<f32>) -> vec4<f32> {
  switch (OP) {
    case RELU: { return select(v, vec4<f32>(0.0), negative(v)); }
    case GELU: { return 0.5 * v * (1.0 + erf4(v * 0.70710678)); }
    case TANH: { return tanh4(v); }
    case SIGMOID: { return sigmoid4(v); }
    case EXP: { return exp4(v); }
    case LOG: { return keep_nan(v, log(v)); }
    case SQRT: { return sqrt(v); }
    case SQUARE: { return v * v; }
    case AFFINE: { return v * params.scale + params.shift; }
    default: { return v; }
  }
}

fn slope(v: vec4<f32>) -> vec4<f32> {
  switch (OP) {
    case RELU: { return select(vec4<f32>(1.0), vec4<f32>(0.0), v <= vec4<f32>(0.0)); }
    case GELU: { return 0.5 * (1.0 + erf4(v * 0.70710678)) + v * 0.39894228 * exp(-0.5 * v * v); }
    case TANH: { let t = tanh4(v); return 1.0 - t * t; }
    case SIGMOID: { let s = sigmoid4(v); return s * (1.0 - s); }
    case EXP: { return exp4(v); }
    case LOG: { return 1.0 / v; }
    case SQRT: { return 0.5 / sqrt(v); }
    case SQUARE: { return 2.0 * v; }
    case AFFINE: { return vec4<f32>(params.scale); }
    default: { return vec4<f32>(1.0); }
  }
}

@compute @workgroup_size(WORKGROUP)
fn forward(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  for (var j = 0u; j < VECS; j++) {
    let i = first + j * WORKGROUP;
    if (i < params.vecs) { out[i] = value(x[i]); }
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  for (var j = 0u; j < VECS; j++) {
    let i = first + j * WORKGROUP;
    if (i < params.vecs) { out[i] = dy[i] * slope(x[i]); }
  }
}
