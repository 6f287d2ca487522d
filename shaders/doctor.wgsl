// numbers[i] = i * i: the smallest thing that shows an adapter computes, for `histograd doctor`. (A null
// backend accepts everything and writes nothing.)
//
// Layout       numbers: u32, as many as threads.
// Grid         one thread per number, workgroups of 64; the host gives a multiple of 64.
// Determinism  every element has one writer.
@group(0) @binding(0) var<storage, read_write> numbers: array<u32>;

@compute @workgroup_size(64)
fn squares(@builtin(global_invocation_id) id: vec3<u32>) {
  numbers[id.x] = id.x * id.x;
}
