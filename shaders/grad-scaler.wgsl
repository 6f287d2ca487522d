// The loss scale after a step (torch._amp_update_scale_):
//   a gradient was not finite (clip[2] is 0): scale *= backoff_factor, and counting begins anew
//   else, after growth_interval such steps:   scale *= growth_factor, unless that overflows, and counting begins anew
//
// Layout       clip: [norm, factor, finite] (grad-norm.wgsl). scale: 1 float32. counts: [growth tracker, steps left out
//              in a row]. status: [scale, steps left out in a row], both as they are then.
// Grid         one thread.
// Precision    exact for factors that are powers of two.
struct Params { growth_factor: f32, backoff_factor: f32, growth_interval: u32 }

@group(0) @binding(0) var<storage, read> clip: array<f32>;
@group(0) @binding(1) var<storage, read_write> scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> status: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(1)
fn update() {
  var next = scale[0];
  var tracker = 0u;
  var left_out = 0u;
  if (clip[2] == 0.0) {
    next *= params.backoff_factor;
    left_out = counts[1] + 1u;
  } else if (counts[0] + 1u < params.growth_interval) {
    tracker = counts[0] + 1u;
  } else {
    let grown = next * params.growth_factor;
    if ((bitcast<u32>(grown) & 0x7f800000u) != 0x7f800000u) { next = grown; }
  }
  scale[0] = next;
  counts[0] = tracker;
  counts[1] = left_out;
  status[0] = next;
  status[1] = f32(left_out);
}
