// Fills with random numbers: uniform in [low, high), and normal (Box-Muller) with mean and deviation.
//
// Layout       out: float32, contiguous. Thread i writes elements 4i .. 4i+3 from one Philox block.
// Grid         elementwise (see accumulate.wgsl).
// Determinism  uniform: same bits on every adapter; normal: on the same adapter (log, cos, sin).
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::philox::philox_high;
import package::shared::philox::philox_uniform;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;

struct Params {
  seed: vec2<u32>,
  offset: u32,
  first: u32, // vec4s of the tensor before those bound
  vecs: u32,
  a: f32, // [a, b), or mean a and deviation b
  b: f32,
}

@group(0) @binding(0) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn uniform_fill(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    out[i] = params.a + (params.b - params.a) * philox_uniform(params.seed, params.offset, params.first + i);
  }
}

@compute @workgroup_size(WORKGROUP)
fn normal_fill(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) {
    let words = vec4<f32>(philox_high(params.seed, params.offset, params.first + i)) * 5.9604644775390625e-8; // 2^-24
    let radius = sqrt(-2.0 * log(words.xz + 2.98023223876953125e-8)); // 2^-25 keeps log away from 0
    let angle = 6.283185307179586 * words.yw;
    let c = cos(angle) * radius;
    let s = sin(angle) * radius;
    out[i] = params.a + params.b * vec4<f32>(c.x, s.x, c.y, s.y);
  }
}
