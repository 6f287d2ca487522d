// Copies a box between two arrays: out[out_start + sum(i * out_strides)] = x[x_start + sum(i * x_strides)] for
// every index i of the box `dims` (4 dimensions, leading ones 1). Permute, slice, concat and their adjoints.
//
// Layout       float32; strides and starts in elements.
// Grid         one thread per element of the box, ELEMENTS of them in turn.
// Host         the box lies inside both arrays; no two indices write one element.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 4u;

struct Params {
  dims: vec4<u32>,
  x_strides: vec4<u32>,
  out_strides: vec4<u32>,
  x_start: u32,
  out_start: u32,
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn copy(at: Invocation) {
  let first = group_index(at) * WORKGROUP * ELEMENTS + at.thread;
  for (var e = 0u; e < ELEMENTS; e++) {
    var rest = first + e * WORKGROUP;
    if (rest >= params.count) { return; }
    var start = params.x_start;
    var to = params.out_start;
    for (var d = 3i; d >= 0i; d--) {
      let i = rest % params.dims[d];
      start += i * params.x_strides[d];
      to += i * params.out_strides[d];
      rest /= params.dims[d];
    }
    out[to] = x[start];
  }
}
