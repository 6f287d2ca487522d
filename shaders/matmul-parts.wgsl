// C = the sum of the parts of a product whose K was split (matmul-tiled, Splits) + bias.
//
// Layout       parts [splits, batches, M, N] contiguous float32; C, bias and accumulate as in matmul-tiled.wgsl.
// Grid         one thread per element of C; neighbours are next to each other.
// Determinism  the parts are added in order.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 128u;
override BIAS: bool = false;

struct Params {
  batches: u32,
  m: u32,
  n: u32,
  splits: u32,
  c_start: u32,
  c_row: u32,
  c_batch: u32,
  bias_start: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn add_parts(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  let size = params.batches * params.m * params.n;
  if (index >= size) { return; }
  var value = parts[index];
  for (var part = 1u; part < params.splits; part++) { value += parts[part * size + index]; }
  let column = index % params.n;
  let line = index / params.n;
  let place = params.c_start + (line / params.m) * params.c_batch + (line % params.m) * params.c_row + column;
  if (BIAS) { value += bias[params.bias_start + column]; }
  if (params.accumulate != 0u) { value += c[place]; }
  c[place] = value;
}
