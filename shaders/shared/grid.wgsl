// Where a thread stands: the inputs of every entry point whose grid the host folded to two dimensions
// (Device.fold), because WebGPU limits the workgroups along one.
struct Invocation {
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
}

fn group_index(at: Invocation) -> u32 {
  return at.group.x + at.group.y * at.groups.x;
}
