// Convolution 3 x 3, stride 1, padding 1, of packed images (see packed.wgsl) for GPUs: tiles of 64 outputs x 64 pixels, staged through
// workgroup memory in slices of 16 along K; each of 256 threads has 4 outputs of 4 pixels in registers.
//
// Grid         16 x 16 threads, 8.5 KiB of workgroup memory. x: tiles of 64 pixels, y: of 64 outputs.
// Edges        the staged slices are 0 beyond K; pixels and outputs beyond the end read the last ones and are not stored.
// Determinism  K is walked in order; one writer per element.
struct Params { images: u32, quads: u32, height: u32, width: u32, outputs: u32 }

@group(0) @binding(0) var<storage, read> weight4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> source4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

const PAD = 17u; // vec4s of a row of 64 plus 4: neighbouring steps of K fall into different banks
var<workgroup> left: array<vec4<f32>, 272>; // [16][PAD]: K, outputs
var<workgroup> right: array<vec4<f32>, 272>; // [16][PAD]: K, pixels

fn pixel_count() -> u32 { return params.images * params.height * params.width; }

fn window(number: u32) -> u32 {
  let pixel = min(number, pixel_count() - 1u);
  let line = pixel / params.width;
  let image = line / params.height;
  return ((line + 2u * image) * (params.width + 2u) + pixel % params.width) * params.quads;
}

@compute @workgroup_size(16, 16)
fn staged(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let run_quads = 3u * params.quads;
  let k_quads = 3u * run_quads;
  // Each thread stages one vec4 along K of one output and of one window.
  let at = thread / 4u;
  let lane = thread % 4u;
  let w = min(group.y * 64u + at, params.outputs - 1u) * k_quads;
  let s = window(group.x * 64u + at);
  var sums = mat4x4<f32>(); // [output][pixel]
  for (var k0 = 0u; k0 < k_quads; k0 += 4u) {
    var a = vec4<f32>();
    var b = vec4<f32>();
    let quad = k0 + lane;
    if (quad < k_quads) {
      a = weight4[w + quad];
      b = source4[s + quad / run_quads * (params.width + 2u) * params.quads + quad % run_quads];
    }
    for (var e = 0u; e < 4u; e++) {
      left[(4u * lane + e) * PAD + at / 4u][at % 4u] = a[e];
      right[(4u * lane + e) * PAD + at / 4u][at % 4u] = b[e];
    }
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let outputs = left[k * PAD + local.y];
      let pixels = right[k * PAD + local.x];
      sums += mat4x4<f32>(outputs.x * pixels, outputs.y * pixels, outputs.z * pixels, outputs.w * pixels);
    }
    workgroupBarrier();
  }
  let plane = params.height * params.width;
  for (var p = 0u; p < 4u; p++) {
    let pixel = group.x * 64u + local.x * 4u + p;
    for (var r = 0u; r < 4u; r++) {
      let output = group.y * 64u + local.y * 4u + r;
      if (pixel < pixel_count() && output < params.outputs) {
        out[(pixel / plane * params.outputs + output) * plane + pixel % plane] = sums[r][p];
      }
    }
  }
}
