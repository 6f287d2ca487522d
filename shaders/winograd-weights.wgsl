// The weights of a convolution by Winograd's algorithm (winograd.wgsl), before and after the products.
//
// weight_tiles      tiles[i, j, row, column] = (G w G')[i, j]. row: output channel, column: input channel; or (TURNED) the other way round, and w
//                   turned by half a circle.
// weight_gradient   dw[row, column] = G' tiles[.., row, column] G
// Layout            weight, dw: [output, input, 3, 3]; tiles: [36, rows, columns], all float32.
// Grid              a thread per row and column, folded by the host.
// Determinism       one writer per element.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 16u;
override TURNED: bool = false;

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> tiles: array<f32>;
@group(0) @binding(2) var<storage, read> products: array<f32>; // tiles, multiplied
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// The upper and the lower half of G, by columns.
const P = 128.0 / 243.0;
const Q = 32.0 / 243.0;
const G_0 = mat3x3<f32>(64.0 / 81.0, -P, -P, 0.0, -0.75 * P, 0.75 * P, 0.0, -0.5625 * P, -0.5625 * P);
const G_1 = mat3x3<f32>(Q, Q, 0.0, 1.5 * Q, -1.5 * Q, 0.0, 2.25 * Q, 2.25 * Q, 1.0);

// Nine places of a tile, from `first`.
fn put(values: mat3x3<f32>, first: u32) {
  let place = params.rows * params.columns;
  for (var c = 0u; c < 3u; c++) {
    for (var r = 0u; r < 3u; r++) { tiles[first + (6u * r + c) * place] = values[c][r]; }
  }
}

fn places(first: u32) -> mat3x3<f32> {
  let place = params.rows * params.columns;
  var values = mat3x3<f32>();
  for (var c = 0u; c < 3u; c++) {
    for (var r = 0u; r < 3u; r++) { values[c][r] = products[first + (6u * r + c) * place]; }
  }
  return values;
}

@compute @workgroup_size(WORKGROUP)
fn weight_tiles(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  let place = params.rows * params.columns;
  if (index >= place) { return; }
  let row = index / params.columns;
  let column = index % params.columns;
  let first = 9u * select(index, column * params.rows + row, TURNED);
  var w = mat3x3<f32>();
  for (var c = 0u; c < 3u; c++) {
    for (var r = 0u; r < 3u; r++) {
      let tap = 3u * r + c;
      w[c][r] = weight[first + select(tap, 8u - tap, TURNED)];
    }
  }
  let upper = G_0 * w;
  let lower = G_1 * w;
  put(upper * transpose(G_0), index);
  put(upper * transpose(G_1), index + 3u * place);
  put(lower * transpose(G_0), index + 18u * place);
  put(lower * transpose(G_1), index + 21u * place);
}

@compute @workgroup_size(WORKGROUP)
fn weight_gradient(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  let place = params.rows * params.columns;
  if (index >= place) { return; }
  let left = transpose(G_0) * places(index) + transpose(G_1) * places(index + 18u * place);
  let right = transpose(G_0) * places(index + 3u * place) + transpose(G_1) * places(index + 21u * place);
  let sum = left * G_0 + right * G_1;
  for (var c = 0u; c < 3u; c++) {
    for (var r = 0u; r < 3u; r++) { dw[9u * index + 3u * r + c] = sum[c][r]; }
  }
}
