// Convolution 3 x 3, stride 1, padding 1, as it is defined: a thread for each output, borders tested at every tap.
//
// Layout       x [images, channels, height, width], weight [outputs, channels, 3, 3], out [images, outputs, height, width].
// Grid         x: blocks of WORKGROUP pixels of all images, y: outputs.
// Determinism  taps in order; one writer per element.
override WORKGROUP: u32 = 64u;

struct Params { images: u32, channels: u32, height: u32, width: u32, outputs: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn direct(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let pixel = group.x * WORKGROUP + thread;
  let plane = params.height * params.width;
  if (pixel >= params.images * plane) { return; }
  let image = pixel / plane;
  let row = i32(pixel % plane / params.width);
  let column = i32(pixel % params.width);
  var total = 0.0;
  for (var c = 0u; c < params.channels; c++) {
    let source = (image * params.channels + c) * plane;
    let taps = (group.y * params.channels + c) * 9u;
    for (var tap = 0u; tap < 9u; tap++) {
      let h = row + i32(tap / 3u) - 1;
      let w = column + i32(tap % 3u) - 1;
      if (h >= 0 && h < i32(params.height) && w >= 0 && w < i32(params.width)) {
        total += x[source + u32(h) * params.width + u32(w)] * weight[taps + tap];
      }
    }
  }
  out[(image * params.outputs + group.y) * plane + pixel % plane] = total;
}
