// Blocks of four vec4s that lanes hand round. The kernel says `enable subgroups`.

// Those of a lane, in all lanes.
fn broadcast_block(quads: mat4x4<f32>, lane: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    subgroupShuffle(quads[0], lane),
    subgroupShuffle(quads[1], lane),
    subgroupShuffle(quads[2], lane),
    subgroupShuffle(quads[3], lane),
  );
}
