// Functions that WGSL lacks, or whose built-in forms are too coarse (log is allowed an absolute error of 2^-21 in
// [0.5, 2], sqrt and exp some ulp more): relative error below 1e-6 on every driver, zeros included. Polynomials
// are Chebyshev interpolants fitted in float64. lgamma and digamma are for arguments >= 0; NaN below.

// `result`, or the NaN that `v` is: some drivers' exp and log turn one into a number.
fn keep_nan(v: vec4<f32>, result: vec4<f32>) -> vec4<f32> {
  return select(result, v, (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}

// log(1 + f) for |f| < 0.45 by 2 artanh(f / (2 + f)): no cancellation.
fn log_near_one(f: vec4<f32>) -> vec4<f32> {
  let s = f / (2.0 + f);
  let z = s * s;
  let series = 0.666666687 + z * (0.400001228 + z * (0.285505861 + z * 0.233368099));
  return 2.0 * s + s * z * series;
}

// Natural logarithm: -inf at 0, NaN below.
fn log4(v: vec4<f32>) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(v);
  let exponent = bitcast<vec4<i32>>(bits - vec4<u32>(0x3f3504f3u)) >> vec4<u32>(23u);
  let mantissa = bitcast<vec4<f32>>(bits - bitcast<vec4<u32>>(exponent << vec4<u32>(23u))); // in [sqrt 0.5, sqrt 2)
  let normal = vec4<f32>(exponent) * 0.693147181 + log_near_one(mantissa - 1.0);
  // Of the built-in function, only what it says of denormal numbers is left: for 0, too, some drivers give -88.
  let zero = (bits << vec4<u32>(1u)) == vec4<u32>(0u);
  let negative = bits > vec4<u32>(0x80000000u);
  var result = select(log(v), normal, bits >= vec4<u32>(0x00800000u));
  result = select(result, v, bits >= vec4<u32>(0x7f800000u)); // infinity, NaN
  result = select(result, bitcast<vec4<f32>>(bits | vec4<u32>(0x7fc00000u)), negative);
  return select(result, bitcast<vec4<f32>>(bits | vec4<u32>(0xff800000u)), zero);
}

fn log1p4(v: vec4<f32>) -> vec4<f32> {
  let near = (v > vec4<f32>(-0.29)) & (v < vec4<f32>(0.41));
  return select(log4(1.0 + v), log_near_one(v), near);
}

fn expm1_4(v: vec4<f32>) -> vec4<f32> {
  var series = vec4<f32>(1.0);
  for (var n = 9.0; n > 1.0; n -= 1.0) { series = 1.0 + v / n * series; }
  return keep_nan(v, select(exp(v) - 1.0, v * series, abs(v) < vec4<f32>(0.5)));
}

// max(v, 0) + log(1 + exp(-|v|)).
fn softplus4(v: vec4<f32>) -> vec4<f32> {
  return keep_nan(v, max(v, vec4<f32>(0.0)) + log1p4(exp(-abs(v))));
}

fn sigmoid4(v: vec4<f32>) -> vec4<f32> {
  return keep_nan(v, 1.0 / (1.0 + exp(-v)));
}

// Near 0 an odd polynomial; beyond, 1 - exp(-(a polynomial)), coefficients by N. Juffa (7e-8).
fn erf4(v: vec4<f32>) -> vec4<f32> {
  let s = v * v;
  let near = v * (1.12837911 + s * (-0.37612626 + s * (0.112835944 + s * (-0.0268542115
    + s * (0.00518908724 + s * (-0.00080168643 + s * 7.8758756e-5))))));
  let t = min(abs(v), vec4<f32>(10.0));
  let t2 = t * t;
  let high = (-1.72853470e-5 * t + 3.83197126e-4) * t2 + (-3.88396438e-3 * t + 2.42546219e-2);
  let power = (((high * t - 0.106777877) * t - 0.634846687) * t - 0.128717512) * t - t;
  return keep_nan(v, select(sign(v) * (1.0 - exp(power)), near, t < vec4<f32>(0.93)));
}

// lgamma(v) - (v - 1/2)(log v - 1) - (log(2 pi) - 1) / 2, by Stirling's series; v >= 7.
fn stirling_rest(v: vec4<f32>) -> vec4<f32> {
  let z = 1.0 / v;
  let z2 = z * z;
  return z * (0.0833333333 - z2 * (0.00277777778 - z2 * 0.000793650794));
}

// log |Gamma(v)|: brought into [0.5, 2.5) by the recurrence, where it is (v - 1)(v - 2) times a polynomial.
fn lgamma4(v: vec4<f32>) -> vec4<f32> {
  let below = v < vec4<f32>(0.5);
  let beyond = v >= vec4<f32>(8.0);
  var y = select(v, v + 1.0, below);
  var product = select(vec4<f32>(1.0), v, below | beyond);
  for (var i = 0u; i < 6u; i++) {
    let more = (y >= vec4<f32>(2.5)) & !beyond;
    y = select(y, y - 1.0, more);
    product = select(product, product * y, more);
  }
  let u = y - 1.5;
  var series = 0.00165113469 + u * (0.00124421914 + u * (-0.000798226043 + u * (-0.00100823794 + u * 0.000638606318)));
  series = 0.0055381977 + u * (-0.0025576998 + u * (0.00150651042 + u * (-0.00264148228 + u * series)));
  series = 0.0629116371 + u * (-0.031294778 + u * (0.0167883709 + u * (-0.00956976227 + u * series)));
  series = 0.483128965 + u * (-0.145960271 + u * series);
  let logarithm = log4(product);
  let near = (y - 1.0) * (y - 2.0) * series + select(logarithm, -logarithm, below);
  let far = (v - 0.5) * (logarithm - 1.0) + 0.418938533 + stirling_rest(v);
  return keep_nan(v, select(near, far, beyond));
}

// digamma(v) - log v, by its asymptotic series; v >= 7.
fn digamma_rest(v: vec4<f32>) -> vec4<f32> {
  let z = 1.0 / v;
  let z2 = z * z;
  return -0.5 * z - z2 * (0.0833333333 - z2 * (0.00833333333 - z2 * 0.00396825397));
}

// The derivative of lgamma: brought into [1, 2) likewise, where it is (v - its root) times a polynomial.
fn digamma4(v: vec4<f32>) -> vec4<f32> {
  let below = v < vec4<f32>(1.0);
  let beyond = v >= vec4<f32>(8.0);
  var y = select(v, v + 1.0, below);
  var added = select(vec4<f32>(0.0), -1.0 / v, below);
  for (var i = 0u; i < 6u; i++) {
    let more = (y >= vec4<f32>(2.0)) & !beyond;
    y = select(y, y - 1.0, more);
    added = select(added, added + 1.0 / y, more);
  }
  let u = y - 1.5;
  var series = -0.0620070696 + u * (0.0393694192 + u * (-0.0260488819 + u * (0.0239090715 - u * 0.0159063172)));
  series = 0.951055884 + u * (-0.423627436 + u * (0.240538448 + u * (-0.148402244 + u * (0.0951162204 + u * series))));
  let near = ((y - 1.46163213) - 1.24381501e-8) * series + added;
  let negative = bitcast<vec4<u32>>(v) > vec4<u32>(0x80000000u);
  let result = select(near, log4(v) + digamma_rest(v), beyond | negative);
  return keep_nan(v, result);
}
