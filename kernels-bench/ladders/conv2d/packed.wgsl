// Convolution 3 x 3, stride 1, padding 1, of packed images (shaders/conv2d-pack.wgsl): channels last, in vec4s, with zeros
// around. The window of a pixel is three runs of 3 * quads vec4s, one for each row of the kernel.
//
// vectors      a thread for each output.
// tile         a thread for 4 outputs of 4 pixels: each vec4 that it loads is used four times.
// Layout       weight4 [outputs, 9 * quads], source4 [images, height + 2, width + 2, quads], out [images, outputs, height, width].
// Grid         x: blocks of WORKGROUP pixels (vectors), or of 4 * WORKGROUP (tile); y: outputs, or fours of them.
// Host         outputs are a multiple of 4.
// Edges        pixels beyond the end read the last one and are not stored.
// Determinism  K is walked in order; one writer per element.
override WORKGROUP: u32 = 64u;

struct Params { images: u32, quads: u32, height: u32, width: u32, outputs: u32 }

@group(0) @binding(0) var<storage, read> weight4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> source4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn pixel_count() -> u32 { return params.images * params.height * params.width; }

fn window(number: u32) -> u32 {
  let pixel = min(number, pixel_count() - 1u);
  let line = pixel / params.width;
  let image = line / params.height;
  return ((line + 2u * image) * (params.width + 2u) + pixel % params.width) * params.quads;
}

fn store(value: f32, output: u32, pixel: u32) {
  let plane = params.height * params.width;
  if (pixel < pixel_count()) { out[(pixel / plane * params.outputs + output) * plane + pixel % plane] = value; }
}

@compute @workgroup_size(WORKGROUP)
fn vectors(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let pixel = group.x * WORKGROUP + thread;
  let run_quads = 3u * params.quads;
  var s = window(pixel);
  var w = group.y * 3u * run_quads;
  var total = vec4<f32>();
  for (var run = 0u; run < 3u; run++) {
    for (var at = 0u; at < run_quads; at++) { total += weight4[w + at] * source4[s + at]; }
    w += run_quads;
    s += (params.width + 2u) * params.quads;
  }
  store(total.x + total.y + total.z + total.w, group.y, pixel);
}

@compute @workgroup_size(WORKGROUP)
fn tile(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let pixel = (group.x * WORKGROUP + thread) * 4u;
  let run_quads = 3u * params.quads;
  let row = 3u * run_quads;
  var s = vec4<u32>(window(pixel), window(pixel + 1u), window(pixel + 2u), window(pixel + 3u));
  var w = group.y * 4u * row;
  var sums = mat4x4<f32>(); // [pixel][output]
  for (var run = 0u; run < 3u; run++) {
    for (var at = 0u; at < run_quads; at++) {
      let k = w + at;
      let left = transpose(mat4x4<f32>(weight4[k], weight4[k + row], weight4[k + 2u * row], weight4[k + 3u * row]));
      sums += left * mat4x4<f32>(source4[s.x + at], source4[s.y + at], source4[s.z + at], source4[s.w + at]);
    }
    w += run_quads;
    s += (params.width + 2u) * params.quads;
  }
  for (var p = 0u; p < 4u; p++) {
    for (var r = 0u; r < 4u; r++) { store(sums[p][r], group.y * 4u + r, pixel + p); }
  }
}
