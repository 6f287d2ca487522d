// Copies a box between two arrays: out[out_start + sum(i * out_strides)] = x[x_start + sum(i * x_strides)] for
// every index i of the box, of up to 8 axes. Permute, slice, concat, expand, roll, pad, windows and their adjoints.
// copy moves float32; copy_vec4 moves vec4s, with the innermost extent, all strides and both starts in vec4s.
//
// Layout       the axes innermost first: numbers 0-3 in dims, x_strides, out_strides, 4-7 in their outer_ partners.
// Grid         ELEMENTS neighbours of the box per thread; along the innermost axis only the offsets advance.
// Host         the box lies inside both arrays; no two indices write one element; count is the size of the box.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 4u;

struct Params {
  dims: vec4<u32>,
  outer_dims: vec4<u32>,
  x_strides: vec4<u32>,
  outer_x_strides: vec4<u32>,
  out_strides: vec4<u32>,
  outer_out_strides: vec4<u32>,
  axes: u32,
  x_start: u32,
  out_start: u32,
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

// Where element `index` of the box stands in x and in out.
fn place(index: u32) -> vec2<u32> {
  var rest = index;
  var at = vec2<u32>(params.x_start, params.out_start);
  for (var d = 0u; d < params.axes; d++) {
    let dim = select(params.outer_dims[d & 3u], params.dims[d & 3u], d < 4u);
    let x_stride = select(params.outer_x_strides[d & 3u], params.x_strides[d & 3u], d < 4u);
    let out_stride = select(params.outer_out_strides[d & 3u], params.out_strides[d & 3u], d < 4u);
    let next = rest / dim;
    at += (rest - next * dim) * vec2<u32>(x_stride, out_stride);
    rest = next;
  }
  return at;
}

@compute @workgroup_size(WORKGROUP)
fn copy(at: Invocation) {
  let first = (group_index(at) * WORKGROUP + at.thread) * ELEMENTS;
  let step = vec2<u32>(params.x_strides.x, params.out_strides.x);
  var run = first % params.dims.x;
  var place_now = place(first);
  for (var e = first; e < min(first + ELEMENTS, params.count); e++) {
    if (run == params.dims.x) {
      run = 0u;
      place_now = place(e);
    }
    out[place_now.y] = x[place_now.x];
    place_now += step;
    run++;
  }
}

@compute @workgroup_size(WORKGROUP)
fn copy_vec4(at: Invocation) {
  let first = (group_index(at) * WORKGROUP + at.thread) * ELEMENTS;
  let step = vec2<u32>(params.x_strides.x, params.out_strides.x);
  var run = first % params.dims.x;
  var place_now = place(first);
  for (var e = first; e < min(first + ELEMENTS, params.count); e++) {
    if (run == params.dims.x) {
      run = 0u;
      place_now = place(e);
    }
    out4[place_now.y] = x4[place_now.x];
    place_now += step;
    run++;
  }
}
