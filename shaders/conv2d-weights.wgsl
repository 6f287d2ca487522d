// Weights for the convolution kernels, and their gradient back from them. weight: [groups * o, c, kernel_h, kernel_w].
//
// pack       the left operand of the product: [groups, rows, phases_h, phases_w, taps_h, taps_w, quads] of vec4 along `depth`,
//            zero beyond it. Forward: a row is an output channel, depth the input channels. Input gradient: a row is an
//            input channel in a phase, depth the output channels, the taps backwards (tap_h < 0). The tap of kernel row
//            first_h + phase + t * tap_h, zero where there is none; a kernel that is spread out (spread_h > 1) has zeros in between.
// sum_parts  weight gradient [rows, depth, taps_h, taps_w] = (itself if ACCUMULATE +) sum of parts [parts, rows, taps_h, taps_w, quads] of vec4 along depth.
//
// Element      of weight and packed: float32, or with `?half` float16; parts and their sum are float32.
// Grid         one thread per vec4 (pack) or per weight (sum_parts).
// Determinism  the parts are added in order; one writer per element.
import package::shared::element::Element;
import package::shared::grid::Invocation;
import package::shared::grid::group_index;
@if(half) enable f16;

override WORKGROUP: u32 = 64u;
override ACCUMULATE: bool = false;

struct Params {
  count: u32, // of threads' tasks
  rows: u32, phases_h: u32, phases_w: u32, taps_h: u32, taps_w: u32, quads: u32, depth: u32,
  group_stride: u32, row_stride: u32, depth_stride: u32, kernel_h: i32, kernel_w: i32,
  first_h: i32, first_w: i32, tap_h: i32, tap_w: i32, spread_h: i32, spread_w: i32,
  parts: u32,
}

@group(0) @binding(0) var<storage, read> weight: array<Element>;
@group(0) @binding(1) var<storage, read_write> packed4: array<vec4<Element>>;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn pack(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.count) { return; }
  var rest = index;
  let quad = rest % params.quads;
  rest /= params.quads;
  let v = i32(rest % params.taps_w);
  rest /= params.taps_w;
  let u = i32(rest % params.taps_h);
  rest /= params.taps_h;
  let h = params.first_h + u * params.tap_h + i32(rest / params.phases_w % params.phases_h);
  let w = params.first_w + v * params.tap_w + i32(rest % params.phases_w);
  rest /= params.phases_w * params.phases_h;
  var value = vec4<Element>();
  let u_kernel = h / params.spread_h;
  let v_kernel = w / params.spread_w;
  let between = h % params.spread_h != 0 || w % params.spread_w != 0;
  if (!between && u_kernel < params.kernel_h && v_kernel < params.kernel_w) {
    let tap = u32(u_kernel * params.kernel_w + v_kernel);
    let source = rest / params.rows * params.group_stride + rest % params.rows * params.row_stride + tap;
    for (var e = 0u; e < min(4u, params.depth - 4u * quad); e++) {
      value[e] = weight[source + (4u * quad + e) * params.depth_stride];
    }
  }
  packed4[index] = value;
}

@compute @workgroup_size(WORKGROUP)
fn sum_parts(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  if (index >= params.count) { return; }
  let taps = params.taps_h * params.taps_w;
  let tap = index % taps;
  let channel = index / taps % params.depth;
  let row = index / taps / params.depth;
  let source = (row * taps + tap) * 4u * params.quads + channel;
  let size = params.rows * taps * 4u * params.quads;
  var total = 0.0;
  if (ACCUMULATE) { total = out[index]; }
  for (var part = 0u; part < params.parts; part++) { total += parts[part * size + source]; }
  out[index] = total;
}
