// One-input elementwise functions and their gradients; OP chooses the function when the pipeline is made.
//
// Layout       x, dy, out: the same number of float32, contiguous.
// Grid         elementwise (see accumulate.wgsl).
// Precision    shared/special.wgsl; tanh by exp(-2|x|), with its series near 0. GELU by the tail of erf, Abramowitz & Stegun
//              7.1.26 (Phi to 7.5e-8): within 4e-7 of x Phi(x) for |x| < 8. A NaN stays a NaN (WGSL's max would hide it).
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::special::keep_nan;
import package::shared::special::log4;
import package::shared::special::log1p4;
import package::shared::special::expm1_4;
import package::shared::special::softplus4;
import package::shared::special::sigmoid4;
import package::shared::special::erf4;
import package::shared::special::lgamma4;
import package::shared::special::digamma4;

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
const LEAKY_RELU = 9u;
const GELU_TANH = 10u;
const SILU = 11u;
const HARDSWISH = 12u;
const HARDSIGMOID = 13u;
const SOFTPLUS = 14u;
const RSQRT = 15u;
const POW = 16u;
const CLAMP = 17u;
const ABS = 18u;
const ERF = 19u;
const LGAMMA = 20u;
const RECIPROCAL = 21u;
const LOG1P = 22u;
const EXPM1 = 23u;

// a, b: scale and shift of AFFINE, minimum and maximum of CLAMP; a: the slope of LEAKY_RELU, the exponent of POW
struct Params { vecs: u32, a: f32, b: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

// Phi(-a) / bell(a) for a >= 0, Phi being the distribution function of the normal distribution.
fn normal_tail(a: vec4<f32>) -> vec4<f32> {
  let t = 1.0 / fma(a, vec4<f32>(0.23164189), vec4<f32>(1.0));
  var series = fma(t, vec4<f32>(0.530702715), vec4<f32>(-0.726576014));
  series = fma(t, series, vec4<f32>(0.710706871));
  series = fma(t, series, vec4<f32>(-0.142248368));
  return t * fma(t, series, vec4<f32>(0.127414796));
}

// exp(-v^2 / 2), by powers of 2.
fn bell(v: vec4<f32>) -> vec4<f32> {
  return exp2(-0.72134752 * v * v);
}

// v Phi(v) from the tail, which is small where v is large: no cancellation on either side. The bound is for infinities.
fn gelu4(v: vec4<f32>) -> vec4<f32> {
  let a = abs(v);
  return fma(-min(a, vec4<f32>(30.0)), normal_tail(a) * bell(v), max(v, vec4<f32>(0.0)));
}

fn gelu_slope(v: vec4<f32>) -> vec4<f32> {
  let density = bell(v);
  let tail = normal_tail(abs(v)) * density;
  return select(tail, 1.0 - tail, v > vec4<f32>(0.0)) + 0.39894228 * v * density;
}

fn tanh4(v: vec4<f32>) -> vec4<f32> {
  let t = exp(-2.0 * abs(v));
  let v2 = v * v;
  let near = v * (1.0 + v2 * (-0.33333333 + v2 * (0.13333333 - v2 * 0.053968254)));
  return keep_nan(v, select(sign(v) * (1.0 - t) / (1.0 + t), near, abs(v) < vec4<f32>(0.15)));
}

fn exp4(v: vec4<f32>) -> vec4<f32> {
  return keep_nan(v, exp(v));
}

// The tanh inside GELU_TANH; beyond 10 it is 1, and cubes could overflow.
fn gelu_tanh4(v: vec4<f32>) -> vec4<f32> {
  let c = clamp(v, vec4<f32>(-10.0), vec4<f32>(10.0));
  return keep_nan(v, tanh4(0.79788456 * c * (1.0 + 0.044715 * c * c)));
}

fn gelu_tanh_slope(v: vec4<f32>) -> vec4<f32> {
  let c = clamp(v, vec4<f32>(-10.0), vec4<f32>(10.0));
  let t = gelu_tanh4(v);
  return 0.5 * (1.0 + t) + 0.5 * c * (1.0 - t * t) * 0.79788456 * (1.0 + 0.134145 * c * c);
}

// v^exponent as C's pow: the whole part by squaring, the rest by exp and log (both have one sign, so that 0 and
// overflow come out right).
fn power(v: vec4<f32>, exponent: f32) -> vec4<f32> {
  let whole = clamp(trunc(exponent), -1048576.0, 1048576.0);
  let part = exponent - trunc(exponent);
  var result = vec4<f32>(1.0);
  var base = v;
  for (var n = u32(abs(whole)); n > 0u; n >>= 1u) {
    if ((n & 1u) == 1u) { result *= base; }
    base *= base;
  }
  if (whole < 0.0) { result = 1.0 / result; }
  if (part != 0.0) { result *= exp4(part * log4(v)); }
  if (exponent == 0.0) { return result; }
  return keep_nan(v, result);
}

// Below zero and not NaN, by the bits: a driver may turn select(v, 0, v < 0) into max(v, 0), which loses a NaN.
fn negative(v: vec4<f32>) -> vec4<bool> {
  return (bitcast<vec4<u32>>(v) ^ vec4<u32>(0x80000000u)) <= vec4<u32>(0x7f800000u);
}

fn hardsigmoid4(v: vec4<f32>) -> vec4<f32> {
  return keep_nan(v, clamp(v + 3.0, vec4<f32>(0.0), vec4<f32>(6.0)) / 6.0);
}

fn inside(v: vec4<f32>, low: f32, high: f32) -> vec4<bool> {
  return (v >= vec4<f32>(low)) & (v <= vec4<f32>(high));
}

fn value(v: vec4<f32>) -> vec4<f32> {
  switch (OP) {
    case RELU: { return select(v, vec4<f32>(0.0), negative(v)); }
    case GELU: { return gelu4(v); }
    case TANH: { return tanh4(v); }
    case SIGMOID: { return sigmoid4(v); }
    case EXP: { return exp4(v); }
    case LOG: { return log4(v); }
    case SQRT: { return sqrt(v); }
    case SQUARE: { return v * v; }
    case AFFINE: { return v * params.a + params.b; }
    case LEAKY_RELU: { return select(v, v * params.a, negative(v)); }
    case GELU_TANH: { return 0.5 * v * (1.0 + gelu_tanh4(v)); }
    case SILU: { return v * sigmoid4(v); }
    case HARDSWISH: { return v * hardsigmoid4(v); }
    case HARDSIGMOID: { return hardsigmoid4(v); }
    case SOFTPLUS: { return softplus4(v); }
    case RSQRT: { return 1.0 / sqrt(v); }
    case POW: { return power(v, params.a); }
    case CLAMP: { return keep_nan(v, min(max(v, vec4<f32>(params.a)), vec4<f32>(params.b))); }
    case ABS: { return abs(v); }
    case ERF: { return erf4(v); }
    case LGAMMA: { return lgamma4(v); }
    case RECIPROCAL: { return 1.0 / v; }
    case LOG1P: { return log1p4(v); }
    case EXPM1: { return expm1_4(v); }
    default: { return v; }
  }
}

fn slope(v: vec4<f32>) -> vec4<f32> {
  switch (OP) {
    case RELU: { return select(vec4<f32>(1.0), vec4<f32>(0.0), v <= vec4<f32>(0.0)); }
    case GELU: { return gelu_slope(v); }
    case TANH: { let t = tanh4(v); return 1.0 - t * t; }
    case SIGMOID: { let s = sigmoid4(v); return s * (1.0 - s); }
    case EXP: { return exp4(v); }
    case LOG: { return 1.0 / v; }
    case SQRT: { return 0.5 / sqrt(v); }
    case SQUARE: { return 2.0 * v; }
    case AFFINE: { return vec4<f32>(params.a); }
    case LEAKY_RELU: { return select(vec4<f32>(1.0), vec4<f32>(params.a), v <= vec4<f32>(0.0)); }
    case GELU_TANH: { return gelu_tanh_slope(v); }
    case SILU: { let s = sigmoid4(v); return s * (1.0 + v * (1.0 - s)); }
    case HARDSWISH: {
      let line = select(v / 3.0 + 0.5, vec4<f32>(1.0), v > vec4<f32>(3.0));
      return select(line, vec4<f32>(0.0), v < vec4<f32>(-3.0));
    }
    case HARDSIGMOID: {
      return select(vec4<f32>(0.0), vec4<f32>(0.16666667), (v > vec4<f32>(-3.0)) & (v < vec4<f32>(3.0)));
    }
    case SOFTPLUS: { return sigmoid4(v); }
    case RSQRT: { return -0.5 / (v * sqrt(v)); }
    case POW: {
      if (params.a == 0.0) { return vec4<f32>(0.0); }
      return params.a * power(v, params.a - 1.0);
    }
    case CLAMP: { return select(vec4<f32>(0.0), vec4<f32>(1.0), inside(v, params.a, params.b)); }
    case ABS: { return sign(v); }
    case ERF: { return 1.12837917 * exp4(-v * v); }
    case LGAMMA: { return digamma4(v); }
    case RECIPROCAL: { let r = 1.0 / v; return -r * r; }
    case LOG1P: { return 1.0 / (1.0 + v); }
    case EXPM1: { return exp4(v); }
    default: { return vec4<f32>(1.0); }
  }
}

@compute @workgroup_size(WORKGROUP)
fn forward(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) { out[i] = value(x[i]); }
}

@compute @workgroup_size(WORKGROUP)
fn backward(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) { out[i] = dy[i] * slope(x[i]); }
}
