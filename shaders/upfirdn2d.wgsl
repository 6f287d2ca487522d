// Upsamples by zeros, pads, filters and downsamples planes (Karras et al., StyleGAN2, CVPR 2020):
// out[o] = sum over k of taps[k] * u[o * down + k - pad], where u[i * up] = x[i] and u is zero elsewhere, along
// both axes. `taps` is the kernel flipped by the host. The gradient is the same with the kernel flipped back, up
// and down exchanged, and a padding of kernel size - 1 - pad: input i is read by output o through tap
// k = i * up + pad - o * down, which the exchanged form reads as tap (size - 1) - k.
//
// Layout       x [planes, in_height, in_width], out [planes, out_height, out_width]; taps [kernel_height, kernel_width].
// Grid         ELEMENTS neighbours of out per thread.
// Host         the sizes of out; pad.x belongs to the width, pad.y to the height, either may be negative.
// Precision    float32 sums in the order of the taps; taps that meet an inserted zero are left out.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 4u;

struct Params {
  in_width: i32,
  in_height: i32,
  out_width: i32,
  out_height: i32,
  kernel_width: i32,
  kernel_height: i32,
  up: i32,
  down: i32,
  pad: vec2<i32>,
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> taps: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// The first tap of output o that does not meet an inserted zero, at or beyond the first pixel.
fn first_tap(o: i32, pad: i32) -> i32 {
  let base = o * params.down - pad;
  if (base <= 0) { return -base; }
  return (params.up - base % params.up) % params.up;
}

@compute @workgroup_size(WORKGROUP)
fn upfirdn(at: Invocation) {
  let first = (group_index(at) * WORKGROUP + at.thread) * ELEMENTS;
  for (var e = first; e < min(first + ELEMENTS, params.count); e++) {
    let row = i32(e) / params.out_width;
    let plane = row / params.out_height;
    let o = vec2<i32>(i32(e) - row * params.out_width, row - plane * params.out_height);
    let kx = first_tap(o.x, params.pad.x);
    let ky = first_tap(o.y, params.pad.y);
    let ix = (o.x * params.down - params.pad.x + kx) / params.up;
    var iy = (o.y * params.down - params.pad.y + ky) / params.up;
    var sum = 0.0;
    for (var j = ky; j < params.kernel_height && iy < params.in_height; j += params.up) {
      var source = (plane * params.in_height + iy) * params.in_width + ix;
      let end = source - ix + params.in_width;
      for (var i = kx; i < params.kernel_width && source < end; i += params.up) {
        sum += taps[j * params.kernel_width + i] * x[source];
        source++;
      }
      iy++;
    }
    out[e] = sum;
  }
}
