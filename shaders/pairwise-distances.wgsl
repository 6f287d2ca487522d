// Distances between the rows of a [n, d] and those of b [m, d], around a matrix product p = a' b'^T:
//   |a - b|^2 = |a'|^2 + |b'|^2 - 2 p, where a' and b' are the rows moved by one common vector, which changes no
//   difference; cosine: 1 - <a, b> / (|a| |b|) = |a' - b'|^2 / 2 with a' and b' the rows divided by their norms.
//
// prepare   out = a' (CENTRE: x - shift; else x / |x|), and squares = |a'|^2; a row that is not finite has squares NaN,
//           a zero row to be divided by its norm -1.
// finish    out[i, first + j] from product[i, j]. Where the difference is small beside the norms (below 1/64 of their
//           sum), cancellation has eaten the product's digits: it is computed anew as a sum of squared differences, of the
//           rows as they were before they were moved.
//           FORM: 0 squared, 1 euclidean, 2 cosine.
//
// Layout       contiguous float32; x, out of prepare [rows, d]; shift [d]; a [rows, d], b [columns, d] (a', b' for cosine),
//              product [rows, columns]; out of finish [rows, stride].
// Grid         prepare: a row of threads (shared/row_reduce.wgsl) per row; finish: one thread per pair.
// Precision    squared distances relative to about 1e-5 (64 times what the product loses), never negative; equal rows
//              are at exactly 0.
// Determinism  fixed order; one writer per element.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override WORKGROUP: u32 = 64u;
override CENTRE: bool = true;
override FORM: u32 = 0u;

struct Params { rows: u32, columns: u32, d: u32, stride: u32, first: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> shift: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> a_squares: array<f32>;
@group(0) @binding(5) var<storage, read> b_squares: array<f32>;
@group(0) @binding(6) var<storage, read> product: array<f32>;
@group(0) @binding(7) var<storage, read_write> squares: array<f32>;
@group(0) @binding(8) var<storage, read_write> out: array<f32>;
@group(0) @binding(9) var<uniform> params: Params;

@compute @workgroup_size(ROW_THREADS)
fn prepare(at: Invocation) {
  let index = row_index(at);
  let row = min(index, params.rows - 1u);
  let start = row * params.d;
  var scale = 1.0;
  var zero = false;
  if (!CENTRE) {
    // Divided by the largest first, so that the squares neither overflow nor vanish.
    var sum = 0.0;
    for (var c = row_lane(at); c < params.d; c += THREADS_PER_ROW) { sum += abs(x[start + c]); }
    let size = row_sum(sum, at.thread);
    zero = size == 0.0;
    let unit = select(size, 1.0, zero);
    var total = 0.0;
    for (var c = row_lane(at); c < params.d; c += THREADS_PER_ROW) {
      let value = x[start + c] / unit;
      total += value * value;
    }
    scale = unit * select(sqrt(row_sum(total, at.thread)), 1.0, zero);
  }
  var total = 0.0;
  for (var c = row_lane(at); c < params.d; c += THREADS_PER_ROW) {
    var value = x[start + c];
    if (CENTRE) { value -= shift[c]; } else { value /= scale; }
    if (index == row) { out[start + c] = value; }
    total += value * value;
  }
  total = row_sum(total, at.thread);
  if (index == row && row_lane(at) == 0u) { squares[row] = select(total, -1.0, zero); }
}

@compute @workgroup_size(WORKGROUP)
fn finish(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.rows * params.columns) { return; }
  let i = index / params.columns;
  let j = index % params.columns;
  let norms = a_squares[i] + b_squares[j];
  var result = norms - 2.0 * product[index];
  if (result < norms * 0.015625) {
    result = 0.0;
    for (var c = 0u; c < params.d; c++) {
      let difference = a[i * params.d + c] - b[j * params.d + c];
      result = fma(difference, difference, result);
    }
  }
  if (FORM == 1u) { result = sqrt(result); }
  if (FORM == 2u) { result *= 0.5; }
  out[i * params.stride + params.first + j] = result;
}
