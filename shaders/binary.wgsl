// Two-input arithmetic with broadcasting: out = a (op) b; OP chooses + - * / when the pipeline is made.
//
// Layout       `same`: a, b, out of one shape. `broadcast`: out has the shape `dims` (4 dimensions,
//              leading ones 1), operand strides are 0 along dimensions it is repeated over; computes
//              elements `first` .. `first + count - 1` of it, and operand element i is at i - base.
// Grid         elementwise (see accumulate.wgsl); `broadcast` reads single floats and writes vec4s.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;
override OP: u32 = 0u; // index in BINARY_FUNCTIONS of src/ops/binary.ts

struct Params {
  count: u32,
  first: u32,
  a_base: u32,
  b_base: u32,
  dims: vec4<u32>,
  a_strides: vec4<u32>,
  b_strides: vec4<u32>,
}

@group(0) @binding(0) var<storage, read> a4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

fn combine(p: vec4<f32>, q: vec4<f32>) -> vec4<f32> {
  switch (OP) {
    case 0u: { return p + q; }
    case 1u: { return p - q; }
    case 2u: { return p * q; }
    default: { return p / q; }
  }
}

@compute @workgroup_size(WORKGROUP)
fn same(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  for (var j = 0u; j < VECS; j++) {
    let i = first + j * WORKGROUP;
    if (4u * i < params.count) { out4[i] = combine(a4[i], b4[i]); }
  }
}

// Where element `index` of the output is found in an operand with these strides.
fn operand_index(index: u32, strides: vec4<u32>) -> u32 {
  var rest = index;
  var at = 0u;
  for (var d = 3i; d >= 0i; d--) {
    at += (rest % params.dims[d]) * strides[d];
    rest /= params.dims[d];
  }
  return at;
}

@compute @workgroup_size(WORKGROUP)
fn broadcast(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  for (var j = 0u; j < VECS; j++) {
    let i = first + j * WORKGROUP;
    if (4u * i < params.count) {
      var p = vec4<f32>(0.0);
      var q = vec4<f32>(1.0);
      for (var e = 0u; e < 4u; e++) {
        let index = params.first + min(4u * i + e, params.count - 1u);
        p[e] = a[operand_index(index, params.a_strides) - params.a_base];
        q[e] = b[operand_index(index, params.b_strides) - params.b_base];
      }
      out4[i] = combine(p, q);
    }
  }
}
