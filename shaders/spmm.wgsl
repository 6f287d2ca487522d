// A sparse matrix in compressed rows times a dense one: out[r, c] = sum of values[p] * x[columns[p], c] over
// starts[first + r] <= p < starts[first + r + 1]; without WEIGHTED every value is 1. The adjoint is the same with the transposed matrix.
//
// Layout       x, out: contiguous float32 rows of width d; starts, columns: u32. `first`: the first row of this dispatch.
// Grid         one thread per output element, ELEMENTS of them in turn.
// Host         rows are short: Csr cuts longer ones into runs whose sums it adds up (src/tensor/csr.ts).
// Determinism  in the order of p; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 4u;
override WEIGHTED: bool = false;

struct Params { rows: u32, d: u32, first: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> columns: array<u32>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn multiply(at: Invocation) {
  let first = group_index(at) * WORKGROUP * ELEMENTS + at.thread;
  let to = min(first + WORKGROUP * ELEMENTS, params.rows * params.d);
  for (var index = first; index < to; index += WORKGROUP) {
    let row = params.first + index / params.d;
    let column = index % params.d;
    var total = 0.0;
    for (var p = starts[row]; p < starts[row + 1u]; p++) {
      let value = x[columns[p] * params.d + column];
      if (WEIGHTED) { total += values[p] * value; } else { total += value; }
    }
    out[index] = total;
  }
}
