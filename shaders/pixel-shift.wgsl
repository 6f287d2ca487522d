// Moves each channel of an image by its own whole number of pixels: out[n, c, h, w] = x[n, c, h + dy[c], w + dx[c]],
// zero outside. The offsets of CycleFC (Chen et al., CycleMLP, ICLR 2022, eq. 5). The gradient is the shift by
// the negative.
//
// Layout       x, out: contiguous, channels first or last: the strides say which. shifts: [dy, dx] of each channel.
// Grid         ELEMENTS neighbours of out per thread.
// Host         count is the number of elements, whole images of them.
// Determinism  every element has one writer.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;
override ELEMENTS: u32 = 4u;

struct Params {
  channels: u32,
  height: u32,
  width: u32,
  channel_stride: u32,
  row_stride: u32,
  column_stride: u32,
  sign: i32, // -1 for the gradient
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> shifts: array<vec2<i32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn shift(at: Invocation) {
  let first = (group_index(at) * WORKGROUP + at.thread) * ELEMENTS;
  for (var e = first; e < min(first + ELEMENTS, params.count); e++) {
    let moved = params.sign * shifts[e / params.channel_stride % params.channels];
    let h = i32(e / params.row_stride % params.height) + moved.x;
    let w = i32(e / params.column_stride % params.width) + moved.y;
    var value = 0.0;
    if (h >= 0 && h < i32(params.height) && w >= 0 && w < i32(params.width)) {
      value = x[i32(e) + moved.x * i32(params.row_stride) + moved.y * i32(params.column_stride)];
    }
    out[e] = value;
  }
}
