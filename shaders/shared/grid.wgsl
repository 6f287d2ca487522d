// Where a workgroup stands in a grid that the host folded to two dimensions (Device.fold).
fn linear_group(id: vec3<u32>, groups: vec3<u32>) -> u32 {
  return id.x + id.y * groups.x;
}
