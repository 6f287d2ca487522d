// The ceiling of a matrix unit: products that never leave its registers. Each subgroup adds the product of two matrices to 8
// results, `steps` times over: 8 * 2 * M * N * K operations a step. Their sum is stored, so that nothing can be left out.
//
// Grid    one-dimensional; GROUPS subgroups of each workgroup work (see shared/matrix_unit.wgsl).
// Host    HALVES = M * K + K * N, FLOATS = GROUPS * M * N.
import package::shared::matrix_unit::M;
import package::shared::matrix_unit::N;
import package::shared::matrix_unit::K;
import package::shared::matrix_unit::GROUPS;
import package::shared::matrix_unit::THREADS;
import package::shared::matrix_unit::Component;
import package::shared::matrix_unit::Result;
import package::shared::matrix_unit::halves;
import package::shared::matrix_unit::floats;
import package::shared::matrix_unit::load_left;
import package::shared::matrix_unit::load_right;
import package::shared::matrix_unit::multiply_add;
import package::shared::matrix_unit::store_result;

struct Params { steps: u32 }

@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn flops(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  for (var i = thread; i < M * K + K * N; i += THREADS) { halves[i] = Component(f32(i % 7u) / 8.0); }
  workgroupBarrier();
  var results: array<Result, 8>;
  // Each begins with another number: equal chains could be joined to one.
  for (var i = 0u; i < 8u; i++) { results[i] = Result(f32(i)); }
  if (subgroup < GROUPS) {
    let left = load_left(0u, K);
    let right = load_right(M * K, N);
    for (var step = 0u; step < params.steps; step++) {
      for (var i = 0u; i < 8u; i++) { results[i] = multiply_add(left, right, results[i]); }
    }
  }
  let at = (group.x + group.y * groups.x) * GROUPS * M * N;
  for (var r = 0u; r < 8u; r++) {
    if (subgroup < GROUPS) { store_result(subgroup * M * N, N, results[r]); }
    workgroupBarrier();
    for (var i = thread; i < GROUPS * M * N; i += THREADS) {
      let before = select(out[at + i], 0.0, r == 0u);
      out[at + i] = before + floats[i];
    }
    workgroupBarrier();
  }
}
