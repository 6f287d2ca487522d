// Rows picked by index: out[i, c] = x[picks[first + i], c]. The adjoint is a product with a sparse matrix (spmm.wgsl).
//
// Layout       contiguous float32 rows of width d; indices u32. `first`: the first pick of this dispatch.
// Grid         one thread per output element, ELEMENTS of them in turn.
// Host         every pick is a row of x.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 4u;

struct Params { rows: u32, d: u32, first: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> picks: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn gather(at: Invocation) {
  let first = group_index(at) * WORKGROUP * ELEMENTS + at.thread;
  let to = min(first + WORKGROUP * ELEMENTS, params.rows * params.d);
  for (var index = first; index < to; index += WORKGROUP) {
    out[index] = x[picks[params.first + index / params.d] * params.d + index % params.d];
  }
}
