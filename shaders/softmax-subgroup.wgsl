// Softmax and log-softmax along rows for CPU rasterisers, as forward4 and backward4 of softmax.wgsl: a workgroup is one subgroup
// and does one row, its lanes side by side, so that the memory sees one stream instead of one per lane.
//
// Layout       x4, y4, dy4, out4: [rows, n] contiguous float32 as vec4s; n a multiple of 4.
// Grid         a workgroup per row, folded by the host. workgroup = LANES = subgroup size, 4 or 8.
// Precision    the maximum is subtracted first: no overflow for any finite input.
// Determinism  fixed order; no atomics.
import package::shared::nan_max::nan_max;
import package::shared::nan_max::nan_max4;
import package::shared::subgroup_row::row_sum;
enable subgroups;

override LANES: u32 = 8u;
override LOG: bool = false;

struct Params { rows: u32, n: u32 }

@group(0) @binding(0) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> y4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn row_max(value: vec4<f32>) -> f32 {
  var most = nan_max(nan_max(value.x, value.y), nan_max(value.z, value.w));
  for (var s = LANES / 2u; s > 0u; s /= 2u) { most = nan_max(most, subgroupShuffleXor(most, s)); }
  return most;
}

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  let begin = row * (params.n / 4u) + lane;
  let end = (row + 1u) * (params.n / 4u);
  var most4 = vec4<f32>(-3.4028234e38f);
  var total4 = vec4<f32>(0.0);
  for (var i = begin; i < end; i += LANES) {
    let v = x4[i];
    let now = nan_max4(most4, v);
    // Of exp(old - new maximum) and exp(element - new maximum), one is always 1.
    let factor = exp(min(v, most4) - now);
    total4 = select(total4 + factor, fma(total4, factor, vec4<f32>(1.0)), v > most4);
    most4 = now;
  }
  let most = row_max(most4);
  let total = row_sum(total4 * exp(most4 - most));
  let scale = 1.0 / total;
  let log_total = log(total);
  for (var i = begin; i < end; i += LANES) {
    let shifted = x4[i] - most;
    if (LOG) { out4[i] = shifted - log_total; } else { out4[i] = exp(shifted) * scale; }
  }
}

@compute @workgroup_size(LANES)
fn backward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  let begin = row * (params.n / 4u) + lane;
  let end = (row + 1u) * (params.n / 4u);
  var dot4 = vec4<f32>(0.0);
  for (var i = begin; i < end; i += LANES) {
    if (LOG) { dot4 += dy4[i]; } else { dot4 += dy4[i] * y4[i]; }
  }
  let dot = row_sum(dot4);
  for (var i = begin; i < end; i += LANES) {
    if (LOG) { out4[i] = dy4[i] - exp(y4[i]) * dot; } else { out4[i] = y4[i] * (dy4[i] - dot); }
  }
}
