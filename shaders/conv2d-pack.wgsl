// Images for the convolution kernels: [images, groups * channels, height, width] to [images, rows, columns, groups, quads] of
// vec4, channels last. Each group's channels are filled up with zeros to whole vec4s, and what lies outside the image is
// zero, so that no kernel behind it tests for borders.
//
//   packed[n, r, c, g, q] = x[n, g * channels + 4 q + (0 .. 3), r - top, c - left]
//
// Element      float32, or with `?half` float16.
// Grid         rows of threads (shared/row_reduce.wgsl); a row is one line of the packed image for one vec4 of channels.
// Determinism  one writer per element.
import package::shared::element::Element;
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;
@if(half) enable f16;

struct Params {
  images: u32, groups: u32, channels: u32, quads: u32, // channels and quads of one group
  height: u32, width: u32,
  rows: u32, columns: u32, top: i32, left: i32,
  x_start: u32, // where the first image of this part stands in x
}

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> packed4: array<vec4<Element>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(ROW_THREADS)
fn pack(at: Invocation) {
  let task = row_index(at);
  let pixel_quads = params.groups * params.quads;
  if (task >= params.images * pixel_quads * params.rows) { return; }
  let row = task % params.rows;
  let image = task / params.rows / pixel_quads;
  let quad = task / params.rows % pixel_quads;
  let first = quad % params.quads * 4u; // channel within the group
  let channel = (image * params.groups + quad / params.quads) * params.channels + first;
  let left_over = params.channels - first;
  let h = i32(row) - params.top;
  let inside = h >= 0 && h < i32(params.height);
  let plane = params.height * params.width;
  let source = params.x_start + channel * plane + u32(max(h, 0)) * params.width;
  for (var column = row_lane(at); column < params.columns; column += THREADS_PER_ROW) {
    let w = i32(column) - params.left;
    var value = vec4<Element>();
    if (inside && w >= 0 && w < i32(params.width)) {
      let i = source + u32(w);
      value.x = x[i];
      if (left_over > 1u) { value.y = x[i + plane]; }
      if (left_over > 2u) { value.z = x[i + 2u * plane]; }
      if (left_over > 3u) { value.w = x[i + 3u * plane]; }
    }
    packed4[((image * params.rows + row) * params.columns + column) * pixel_quads + quad] = value;
  }
}
