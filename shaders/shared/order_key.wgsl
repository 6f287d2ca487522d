// Floats as integers of the same order: a < b exactly when order_key(a) < order_key(b). Zeros of both signs are equal, and
// a NaN is above everything, as PyTorch sorts. No key is 0. By the bits, because a compiler may assume that there are no NaNs.
fn order_key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return 0xffffffffu; }
  if (magnitude == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, bits == (magnitude | 0x80000000u));
}
