// Philox4x32-10, a counter-based generator (Salmon et al., SC 2011): the same key and counter give
// the same four words on every adapter, so that a mask need not be stored to be known again.
fn mul_wide(a: u32, b: u32) -> vec2<u32> { // (high, low) words of a * b
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let low = a0 * b0;
  let cross = a1 * b0 + (low >> 16u);
  let middle = a0 * b1 + (cross & 0xffffu);
  return vec2<u32>(a1 * b1 + (cross >> 16u) + (middle >> 16u), a * b);
}

fn philox(key_in: vec2<u32>, counter_in: vec4<u32>) -> vec4<u32> {
  var key = key_in;
  var counter = counter_in;
  for (var round = 0u; round < 10u; round++) {
    let p0 = mul_wide(0xD2511F53u, counter.x);
    let p1 = mul_wide(0xCD9E8D57u, counter.z);
    counter = vec4<u32>(p1.x ^ counter.y ^ key.x, p1.y, p0.x ^ counter.w ^ key.y, p0.y);
    key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
  }
  return counter;
}

// The upper 24 bits of the four words of quad `quad` of the stream (seed, offset).
fn philox_high(seed: vec2<u32>, offset: u32, quad: u32) -> vec4<u32> {
  return philox(seed, vec4<u32>(quad, 0u, offset, 0u)) >> vec4<u32>(8u);
}

// Four numbers in [0, 1): elements 4 * quad .. 4 * quad + 3 of the stream.
fn philox_uniform(seed: vec2<u32>, offset: u32, quad: u32) -> vec4<f32> {
  return vec4<f32>(philox_high(seed, offset, quad)) * 5.9604644775390625e-8; // 2^-24
}
