// Rows of vec4s whose lanes are those of a subgroup. The kernel says `enable subgroups`.

// The sum over the lanes, in all of them.
fn row_sum(value: vec4<f32>) -> f32 {
  return subgroupAdd((value.x + value.y) + (value.z + value.w));
}
