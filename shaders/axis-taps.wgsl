// A sparse linear map along one axis: out[o, p, i] = sum of weights[t] * x[o, indices[t], i] over t from starts[p]
// to starts[p + 1] - 1. Resizing and reflecting or replicating borders, axis by axis; with the transposed table
// also their gradients. apply moves float32; apply_vec4 takes the innermost axis in vec4s; apply_rows maps the last
// axis (inner 1) of four rows at a time, so that they share what they read of the table.
//
// Layout       x [outer, inputs, inner], out [outer, outputs, inner] contiguous; starts [outputs + 1], indices, weights.
// Grid         ELEMENTS neighbours of out per thread; in apply_rows, of the first of four rows.
// Host         every index below inputs; count is the number of elements (vec4s) of out;
//              in apply_rows of those in every fourth row, and rows the number of rows.
// Precision    float32 sums in the order of the table.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 4u;

struct Params { inputs: u32, outputs: u32, inner: u32, rows: u32, count: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> starts: array<u32>;
@group(0) @binding(5) var<storage, read> indices: array<u32>;
@group(0) @binding(6) var<storage, read> weights: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

struct Place { p: u32, base: u32 } // the output along the axis, and where its line begins in x

fn place(e: u32) -> Place {
  let row = e / params.inner;
  let o = row / params.outputs;
  return Place(row - o * params.outputs, o * params.inputs * params.inner + e - row * params.inner);
}

@compute @workgroup_size(WORKGROUP)
fn apply(at: Invocation) {
  let first = (group_index(at) * WORKGROUP + at.thread) * ELEMENTS;
  for (var e = first; e < min(first + ELEMENTS, params.count); e++) {
    let now = place(e);
    var sum = 0.0;
    for (var t = starts[now.p]; t < starts[now.p + 1u]; t++) {
      sum += weights[t] * x[now.base + indices[t] * params.inner];
    }
    out[e] = sum;
  }
}

@compute @workgroup_size(WORKGROUP)
fn apply_vec4(at: Invocation) {
  let first = (group_index(at) * WORKGROUP + at.thread) * ELEMENTS;
  for (var e = first; e < min(first + ELEMENTS, params.count); e++) {
    let now = place(e);
    var sum = vec4<f32>(0.0);
    for (var t = starts[now.p]; t < starts[now.p + 1u]; t++) {
      sum += weights[t] * x4[now.base + indices[t] * params.inner];
    }
    out4[e] = sum;
  }
}

@compute @workgroup_size(WORKGROUP)
fn apply_rows(at: Invocation) {
  let first = (group_index(at) * WORKGROUP + at.thread) * ELEMENTS;
  for (var e = first; e < min(first + ELEMENTS, params.count); e++) {
    let quad = e / params.outputs;
    let p = e - quad * params.outputs;
    let row = min(vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.rows - 1u));
    let line = row * params.inputs;
    var sum = vec4<f32>(0.0);
    for (var t = starts[p]; t < starts[p + 1u]; t++) {
      let j = line + indices[t];
      sum += weights[t] * vec4<f32>(x[j.x], x[j.y], x[j.z], x[j.w]);
    }
    let to = row * params.outputs + p;
    out[to.x] = sum.x;
    out[to.y] = sum.y;
    out[to.z] = sum.z;
    out[to.w] = sum.w;
  }
}
