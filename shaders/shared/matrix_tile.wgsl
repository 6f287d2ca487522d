// A tile of a product on the matrix unit: 2 x 2 subgroups, each with ROWS x COLUMNS result matrices. Shared by matmul and
// convolution, which stage slices of SLICE steps of K, and store what comes out.
//
// Left         [rows of the tile][SLICE + PAD] from 0; LEFT_BY_K: [SLICE][rows + PAD].
// Right        [SLICE][columns of the tile + PAD] from right_at(); RIGHT_BY_COLUMN: [columns][SLICE + PAD].
// Memory       HALVES = (rows + columns) * (SLICE + PAD), for rows and columns of at least SLICE; FLOATS = GROUPS * M * N.
import package::shared::matrix_unit::M;
import package::shared::matrix_unit::N;
import package::shared::matrix_unit::K;
import package::shared::matrix_unit::Right;
import package::shared::matrix_unit::Result;
import package::shared::matrix_unit::load_left;
import package::shared::matrix_unit::load_left_columns;
import package::shared::matrix_unit::load_right;
import package::shared::matrix_unit::load_right_columns;
import package::shared::matrix_unit::multiply_add;

const SLICE = 32u;
const PAD = 8u; // neighbouring rows fall into different banks
const MOST_ROWS = 4u;
const MOST_COLUMNS = 4u;

override ROWS: u32 = 2u; // at most MOST_ROWS
override COLUMNS: u32 = 2u; // at most MOST_COLUMNS
override LEFT_BY_K: bool = false;
override RIGHT_BY_COLUMN: bool = false;

alias Results = array<Result, 16>; // MOST_ROWS * MOST_COLUMNS

fn tile_rows() -> u32 { return 2u * ROWS * M; }
fn tile_columns() -> u32 { return 2u * COLUMNS * N; }
fn right_at() -> u32 { return tile_rows() * (SLICE + PAD); }

// Adds the product of the staged slice to a subgroup's results.
fn add_slice(results: ptr<function, Results>, subgroup: u32) {
  let row0 = (subgroup / 2u) * ROWS * M;
  let column0 = (subgroup % 2u) * COLUMNS * N;
  for (var k = 0u; k < SLICE; k += K) {
    var right: array<Right, 4>; // MOST_COLUMNS
    for (var j = 0u; j < COLUMNS; j++) {
      let column = column0 + j * N;
      if (RIGHT_BY_COLUMN) {
        right[j] = load_right_columns(right_at() + column * (SLICE + PAD) + k, SLICE + PAD);
      } else {
        right[j] = load_right(right_at() + k * (tile_columns() + PAD) + column, tile_columns() + PAD);
      }
    }
    for (var i = 0u; i < ROWS; i++) {
      let row = row0 + i * M;
      if (LEFT_BY_K) {
        let left = load_left_columns(k * (tile_rows() + PAD) + row, tile_rows() + PAD);
        for (var j = 0u; j < COLUMNS; j++) {
          let at = i * MOST_COLUMNS + j;
          (*results)[at] = multiply_add(left, right[j], (*results)[at]);
        }
      } else {
        let left = load_left(row * (SLICE + PAD) + k, SLICE + PAD);
        for (var j = 0u; j < COLUMNS; j++) {
          let at = i * MOST_COLUMNS + j;
          (*results)[at] = multiply_add(left, right[j], (*results)[at]);
        }
      }
    }
  }
}

// Where element `e` of the GROUPS result matrices (i, j) is in the tile: row and column.
fn place_in_tile(e: u32, i: u32, j: u32) -> vec2<u32> {
  let subgroup = e / (M * N);
  let inside = e % (M * N);
  return vec2<u32>(
    (subgroup / 2u) * ROWS * M + i * M + inside / N,
    (subgroup % 2u) * COLUMNS * N + j * N + inside % N,
  );
}
