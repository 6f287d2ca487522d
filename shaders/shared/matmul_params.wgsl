// The sizes and places of a matrix product, the same for matmul-subgroup, -tiled, -rows and -matrix: C [m, n] = op(A) op(B). An operand
// begins at `*_start`, its stored rows are `*_row` elements apart, the matrices of a batch `*_batch`.
struct Params {
  m: u32,
  n: u32,
  k: u32,
  a_start: u32,
  a_row: u32,
  a_batch: u32,
  b_start: u32,
  b_row: u32,
  b_batch: u32,
  c_start: u32,
  c_row: u32,
  c_batch: u32,
  bias_start: u32,
  accumulate: u32, // C += (products cut along K)
  batches: u32,
  split_k: u32, // steps of K to a workgroup; only -tiled and -matrix cut K, for the others it is k
}
