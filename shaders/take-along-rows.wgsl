// Elements of each row picked by index, and the adjoint (torch.gather along the last axis).
//
// take   out[r, j] = x[r, indices[r, j]].
// put    out[r, indices[r, j]] = x[r, j], or 1 where ONES; the host has set the rest to 0.
//
// Layout       contiguous rows: n wide on the side of the index values, k wide on that of the indices.
// Grid         one thread per index, ELEMENTS of them in turn.
// Host         indices below n, each at most once in a row.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 4u;
override ONES: bool = false;

struct Params { rows: u32, n: u32, k: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn take(at: Invocation) {
  let first = group_index(at) * WORKGROUP * ELEMENTS + at.thread;
  let to = min(first + WORKGROUP * ELEMENTS, params.rows * params.k);
  for (var index = first; index < to; index += WORKGROUP) {
    out[index] = x[(index / params.k) * params.n + indices[index]];
  }
}

@compute @workgroup_size(WORKGROUP)
fn put(at: Invocation) {
  let first = group_index(at) * WORKGROUP * ELEMENTS + at.thread;
  let to = min(first + WORKGROUP * ELEMENTS, params.rows * params.k);
  for (var index = first; index < to; index += WORKGROUP) {
    var value = 1.0;
    if (!ONES) { value = x[index]; }
    out[(index / params.k) * params.n + indices[index]] = value;
  }
}
