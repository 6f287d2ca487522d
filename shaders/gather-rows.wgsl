// Rows picked by index, and the adjoint.
//
// gather   out[i, c] = x[picks[i], c].
// scatter  out[r, c] = sum of x[i, c] over the i with picks[i] = r. The host gives these i as lists: those of
//          row r are positions[starts[r]] .. positions[starts[r + 1]], ascending; so no atomics are needed.
//
// Layout       contiguous float32 rows of width d; indices u32.
// Grid         one thread per output element.
// Host         every pick is a row of x.
// Determinism  fixed order.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;

struct Params { rows: u32, d: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> picks: array<u32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn gather(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.rows * params.d) { return; }
  out[index] = x[picks[index / params.d] * params.d + index % params.d];
}

@compute @workgroup_size(WORKGROUP)
fn scatter(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.rows * params.d) { return; }
  let row = index / params.d;
  var total = 0.0;
  for (var p = starts[row]; p < starts[row + 1u]; p++) {
    total += x[positions[p] * params.d + index % params.d];
  }
  out[index] = total;
}
