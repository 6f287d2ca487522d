// Rows shared by threads: THREADS_PER_ROW threads work on one row, ROWS_PER_GROUP rows on one
// workgroup of their product. The sums and maxima below combine the threads of a row in a fixed
// order; every thread gets the result. With one thread per row (CPU rasterisers, where a barrier
// costs more than a row) they cost nothing.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
import package::shared::nan_max::nan_max;

override THREADS_PER_ROW: u32 = 64u; // a power of two
override ROWS_PER_GROUP: u32 = 4u;
override ROW_THREADS: u32 = 256u; // THREADS_PER_ROW * ROWS_PER_GROUP

var<workgroup> row_scratch: array<f32, ROW_THREADS>;

// The row this thread works on; the caller masks its stores where it is beyond the last one.
fn row_index(at: Invocation) -> u32 {
  return group_index(at) * ROWS_PER_GROUP + at.thread / THREADS_PER_ROW;
}

fn row_lane(at: Invocation) -> u32 {
  return at.thread % THREADS_PER_ROW;
}

fn row_sum(value: f32, thread: u32) -> f32 {
  if (THREADS_PER_ROW == 1u) { return value; }
  let lane = thread % THREADS_PER_ROW;
  row_scratch[thread] = value;
  workgroupBarrier();
  for (var s = THREADS_PER_ROW / 2u; s > 0u; s = s / 2u) {
    if (lane < s) { row_scratch[thread] += row_scratch[thread + s]; }
    workgroupBarrier();
  }
  let total = row_scratch[thread - lane];
  workgroupBarrier();
  return total;
}

fn row_max(value: f32, thread: u32) -> f32 {
  if (THREADS_PER_ROW == 1u) { return value; }
  let lane = thread % THREADS_PER_ROW;
  row_scratch[thread] = value;
  workgroupBarrier();
  for (var s = THREADS_PER_ROW / 2u; s > 0u; s = s / 2u) {
    if (lane < s) { row_scratch[thread] = nan_max(row_scratch[thread], row_scratch[thread + s]); }
    workgroupBarrier();
  }
  let most = row_scratch[thread - lane];
  workgroupBarrier();
  return most;
}
