// Two-input arithmetic with broadcasting: out = a (op) b; OP chooses + - * / when the pipeline is made.
//
// Layout       `same`: a, b, out of one shape. `broadcast`: out has the shape `dims` (4 dimensions,
//              leading ones 1), operand strides are 0 along dimensions it is repeated over; computes
//              elements `first` .. `first + count - 1` of it, and operand element i is at i - base.
// Grid         elementwise (see accumulate.wgsl); without QUADS, `broadcast` reads single floats and writes vec4s.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override VECS: u32 = 4u;
override OP: u32 = 0u; // index in BINARY_FUNCTIONS of src/ops/binary.ts
// In `broadcast`: rows of the output are multiples of 4, so that four elements have one place, and each operand has
// four of its own there or repeats one.
override QUADS: bool = false;
override A_REPEATS: bool = false;
override B_REPEATS: bool = false;

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
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) { out4[i] = combine(a4[i], b4[i]); }
}

// Where element `index` of the output is found in a and b.
fn operand_indices(index: u32) -> vec2<u32> {
  var rest = index;
  var at = vec2<u32>(0u);
  for (var d = 3i; d >= 0i && rest > 0u; d--) {
    let quotient = rest / params.dims[d];
    at += (rest - quotient * params.dims[d]) * vec2<u32>(params.a_strides[d], params.b_strides[d]);
    rest = quotient;
  }
  return at - vec2<u32>(params.a_base, params.b_base);
}

@compute @workgroup_size(WORKGROUP)
fn broadcast(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, (params.count + 3u) / 4u);
  for (var i = first; i < end; i += WORKGROUP) {
    var p = vec4<f32>(0.0);
    var q = vec4<f32>(1.0);
    if (QUADS) {
      let found = operand_indices(params.first + 4u * i);
      if (A_REPEATS) { p = vec4<f32>(a[found.x]); } else { p = a4[found.x / 4u]; }
      if (B_REPEATS) { q = vec4<f32>(b[found.y]); } else { q = b4[found.y / 4u]; }
    } else {
      for (var e = 0u; e < 4u; e++) {
        let found = operand_indices(params.first + min(4u * i + e, params.count - 1u));
        p[e] = a[found.x];
        q[e] = b[found.y];
      }
    }
    out4[i] = combine(p, q);
  }
}
