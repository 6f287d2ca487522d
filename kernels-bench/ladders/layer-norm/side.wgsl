// Layer normalisation with a row to each subgroup, its lanes side by side; the sums by subgroupAdd.
//
// three        mean, variance, result: the row is read three times.
// two          sums and squares of the differences from each lane's own first elements in one pass, merged at the end.
// Layout       x4, out4: [rows, n] contiguous float32 as vec4s; weight4, bias4: [n]; n a multiple of 4.
// Grid         one row to a workgroup. workgroup = LANES = subgroup size.
// Determinism  fixed order.
enable subgroups;

override LANES: u32 = 8u;

struct Params { rows: u32, n: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn row_sum(value: vec4<f32>) -> f32 {
  return subgroupAdd((value.x + value.y) + (value.z + value.w));
}

fn finish(begin: u32, lane: u32, first: f32, mean: f32, rstd: f32) {
  for (var j = lane; j < params.n / 4u; j += LANES) {
    out4[begin + j] = ((x4[begin + j] - first) - mean) * rstd * weight4[j] + bias4[j];
  }
}

@compute @workgroup_size(LANES)
fn three(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  let width = params.n / 4u;
  let begin = row * width;
  let first = x4[begin].x;
  var total = vec4<f32>(0.0);
  for (var j = lane; j < width; j += LANES) { total += x4[begin + j] - first; }
  let mean = row_sum(total) / f32(params.n);
  var squares = vec4<f32>(0.0);
  for (var j = lane; j < width; j += LANES) {
    let d = (x4[begin + j] - first) - mean;
    squares += d * d;
  }
  finish(begin, lane, first, mean, inverseSqrt(row_sum(squares) / f32(params.n) + params.eps));
}

@compute @workgroup_size(LANES)
fn two(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  let width = params.n / 4u;
  let begin = row * width;
  let own = x4[begin + min(lane, width - 1u)];
  var total = vec4<f32>(0.0);
  var squares = vec4<f32>(0.0);
  for (var j = lane; j < width; j += LANES) {
    let d = x4[begin + j] - own;
    total += d;
    squares += d * d;
  }
  let count = f32((width + LANES - 1u - lane) / LANES);
  let shift = total / max(count, 1.0);
  let first = x4[begin].x;
  let place = (own - first) + shift;
  let mean = row_sum(place * count) / f32(params.n);
  let off = place - mean;
  let spread = max(squares - total * shift, vec4<f32>(0.0)) + off * off * count;
  finish(begin, lane, first, mean, inverseSqrt(row_sum(spread) / f32(params.n) + params.eps));
}
