// Depthwise convolution: every channel of x has `multiplier` filters of its own (groups = C, O = C * multiplier).
//
//   forward          y[n, o, i, j] = bias[o] + sum over (u, v) of weight[o, u, v] * x[n, o / multiplier, i s + u d - p, j s + v d - p]
//   forward3         the same with 3 x 3 windows, not dilated, for CPU rasterisers: a thread goes along its line and keeps the window
//   input_gradient   dx[n, c, h, w] = bias[c] + sum over c's filters and (u, v) of weight * dy where i s + u d - p = h (gather form)
//   weight_gradient  parts[part, o, u, v, 0] = sum over the images of a part of dy * x; conv2d-weights.wgsl adds the parts
//
// Layout       x [images, channels, height, width], y [images, channels * multiplier, out_height, out_width],
//              weight [channels * multiplier, kernel_h, kernel_w], all float32.
// Grid         rows of threads (shared/row_reduce.wgsl): a row is a line of y (of one thread in forward3), a line of dx, or one weight
//              of one part.
// Determinism  fixed order; one writer per element.
import package::shared::grid::Invocation;
import package::shared::row_reduce::row_index;
import package::shared::row_reduce::row_lane;
import package::shared::row_reduce::row_sum;
import package::shared::row_reduce::THREADS_PER_ROW;
import package::shared::row_reduce::ROW_THREADS;

override BIAS: bool = false;
override STRIDED: bool = true; // false: both strides are 1, and no division is needed
override SHARED: u32 = 0u; // forward3: columns that a window has in common with the next

struct Params {
  images: u32, channels: u32, multiplier: u32,
  height: i32, width: i32, out_height: i32, out_width: i32,
  kernel_h: i32, kernel_w: i32, stride_h: i32, stride_w: i32, dilation_h: i32, dilation_w: i32, top: i32, left: i32,
  x_start: i32, y_start: i32, // where the first image of this part stands in x (and dx), and in y (and dy)
  parts: u32, images_per_part: u32, // weight_gradient
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

// Of a line of y: its filter, the first line of its windows in the plane of x (which may lie above it), and that plane's first line.
struct Line { o: u32, h0: i32, plane: i32 }

fn line_of(line: u32) -> Line {
  let outputs = params.channels * params.multiplier;
  let out_height = u32(params.out_height);
  let image = line / out_height / outputs;
  let o = line / out_height % outputs;
  let h0 = i32(line % out_height) * params.stride_h - params.top;
  return Line(o, h0, i32(image * params.channels + o / params.multiplier) * params.height);
}

@compute @workgroup_size(ROW_THREADS)
fn forward(at: Invocation) {
  let line = row_index(at);
  if (line >= params.images * params.channels * params.multiplier * u32(params.out_height)) { return; }
  let known = line_of(line);
  let first_tap = i32(known.o) * params.kernel_h * params.kernel_w;
  for (var j = i32(row_lane(at)); j < params.out_width; j += i32(THREADS_PER_ROW)) {
    var total = 0.0;
    if (BIAS) { total = bias[known.o]; }
    let w0 = j * params.stride_w - params.left;
    for (var u = 0; u < params.kernel_h; u++) {
      let h = known.h0 + u * params.dilation_h;
      if (h < 0 || h >= params.height) { continue; }
      for (var v = 0; v < params.kernel_w; v++) {
        let w = w0 + v * params.dilation_w;
        if (w >= 0 && w < params.width) {
          total += weight[first_tap + u * params.kernel_w + v] * x[params.x_start + (known.plane + h) * params.width + w];
        }
      }
    }
    out[params.y_start + i32(line) * params.out_width + j] = total;
  }
}

// One column of a window over three lines of x, which begin at `lines`; zero outside of the plane.
fn column(lines: vec3<i32>, inside: vec3<bool>, w: i32) -> vec3<f32> {
  let at = params.x_start + lines + clamp(w, 0, params.width - 1);
  let values = vec3<f32>(x[at.x], x[at.y], x[at.z]);
  let of_line = w >= 0 && w < params.width;
  return select(vec3<f32>(), values, inside & vec3<bool>(of_line));
}

@compute @workgroup_size(ROW_THREADS)
fn forward3(at: Invocation) {
  let line = row_index(at);
  if (line >= params.images * params.channels * params.multiplier * u32(params.out_height)) { return; }
  let known = line_of(line);
  let h = vec3<i32>(0, 1, 2) + known.h0;
  let from_top = h >= vec3<i32>(0);
  let to_bottom = h < vec3<i32>(params.height);
  let inside = from_top & to_bottom;
  let lines = (known.plane + clamp(h, vec3<i32>(0), vec3<i32>(params.height - 1))) * params.width;
  let tap = 9u * known.o;
  let left = vec3<f32>(weight[tap], weight[tap + 3u], weight[tap + 6u]);
  let middle = vec3<f32>(weight[tap + 1u], weight[tap + 4u], weight[tap + 7u]);
  let right = vec3<f32>(weight[tap + 2u], weight[tap + 5u], weight[tap + 8u]);
  var added = 0.0;
  if (BIAS) { added = bias[known.o]; }
  let first = params.y_start + i32(line) * params.out_width;
  var a = column(lines, inside, -params.left);
  var b = column(lines, inside, 1 - params.left);
  for (var j = 0; j < params.out_width; j++) {
    let w = j * params.stride_w - params.left;
    if (SHARED < 1u) { a = column(lines, inside, w); }
    if (SHARED < 2u) { b = column(lines, inside, w + 1); }
    let c = column(lines, inside, w + 2);
    out[first + j] = added + dot(a, left) + dot(b, middle) + dot(c, right);
    a = select(c, b, SHARED == 2u);
    b = c;
  }
}

@compute @workgroup_size(ROW_THREADS)
fn input_gradient(at: Invocation) {
  let line = row_index(at);
  let height = u32(params.height);
  if (line >= params.images * params.channels * height) { return; }
  let image = line / height / params.channels;
  let c = line / height % params.channels;
  let h = i32(line % height) + params.top;
  for (var column = i32(row_lane(at)); column < params.width; column += i32(THREADS_PER_ROW)) {
    var total = 0.0;
    if (BIAS) { total = bias[c]; }
    let w = column + params.left;
    for (var m = 0u; m < params.multiplier; m++) {
      let o = i32(c * params.multiplier + m);
      let plane = (i32(image * params.channels * params.multiplier) + o) * params.out_height;
      for (var u = 0; u < params.kernel_h; u++) {
        let i_scaled = h - u * params.dilation_h;
        var i = i_scaled;
        if (STRIDED) { i /= params.stride_h; }
        if (i < 0 || i >= params.out_height || (STRIDED && i * params.stride_h != i_scaled)) { continue; }
        for (var v = 0; v < params.kernel_w; v++) {
          let j_scaled = w - v * params.dilation_w;
          var j = j_scaled;
          if (STRIDED) { j /= params.stride_w; }
          if (j >= 0 && j < params.out_width && (!STRIDED || j * params.stride_w == j_scaled)) {
            let tap = (o * params.kernel_h + u) * params.kernel_w + v;
            total += weight[tap] * dy[params.y_start + (plane + i) * params.out_width + j];
          }
        }
      }
    }
    out[params.x_start + i32(line) * params.width + column] = total;
  }
}

@compute @workgroup_size(ROW_THREADS)
fn weight_gradient(at: Invocation) {
  let taps = u32(params.kernel_h * params.kernel_w);
  let outputs = params.channels * params.multiplier;
  let row = row_index(at);
  let index = min(row, params.parts * outputs * taps - 1u);
  let part = index / taps / outputs;
  let o = index / taps % outputs;
  let h0 = i32(index % taps) / params.kernel_w * params.dilation_h - params.top;
  let w0 = i32(index % taps) % params.kernel_w * params.dilation_w - params.left;
  let lane = i32(row_lane(at));
  let threads = i32(THREADS_PER_ROW);
  let begin = part * params.images_per_part;
  var total = 0.0;
  for (var image = begin; image < min(begin + params.images_per_part, params.images); image++) {
    let plane = i32(image * params.channels + o / params.multiplier) * params.height;
    let dy_plane = i32(image * outputs + o) * params.out_height;
    // Pixels lane, lane + threads, …, without a division for each.
    var i = lane / params.out_width;
    var j = lane % params.out_width;
    while (i < params.out_height) {
      let h = i * params.stride_h + h0;
      let w = j * params.stride_w + w0;
      if (h >= 0 && h < params.height && w >= 0 && w < params.width) {
        let y_at = params.y_start + (dy_plane + i) * params.out_width + j;
        total += dy[y_at] * x[params.x_start + (plane + h) * params.width + w];
      }
      i += threads / params.out_width;
      j += threads % params.out_width;
      if (j >= params.out_width) {
        j -= params.out_width;
        i++;
      }
    }
  }
  total = row_sum(total, at.thread);
  if (row >= params.parts * outputs * taps || lane > 0) { return; }
  out[4u * row] = total; // the parts are vec4s along the channels of a filter, of which there is one
}
