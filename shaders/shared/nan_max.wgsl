// The larger of two; a NaN wins, so that divergence stays visible.
fn nan_max(a: f32, b: f32) -> f32 {
  return select(a, b, (a == a) && !(b <= a));
}

fn nan_max4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
  return select(a, b, (a == a) & !(b <= a));
}
