// Where vec4 `index` of a buffer stands in the texture that it was copied to (src/gpu/texel-copies.ts): in rows of 256.
fn texel(index: u32) -> vec2<u32> {
  return vec2<u32>(index % 256u, index / 256u);
}
