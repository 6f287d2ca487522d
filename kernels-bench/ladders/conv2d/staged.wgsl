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

// vec4 `quad` along K of 4 outputs from `output`, one vec4 per step.
fn block_weights(output: u32, quad: u32, k_quads: u32) -> mat4x4<f32> {
  let last = params.outputs - 1u;
  return transpose(mat4x4<f32>(
    weight4[min(output, last) * k_quads + quad],
    weight4[min(output + 1u, last) * k_quads + quad],
    weight4[min(output + 2u, last) * k_quads + quad],
    weight4[min(output + 3u, last) * k_quads + quad],
  ));
}

// The vec4s at `at` of the windows of 4 pixels, which begin at `s`; one vec4 per step.
fn block_windows(s: vec4<u32>, at: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(source4[s.x + at], source4[s.y + at], source4[s.z + at], source4[s.w + at]));
}

@compute @workgroup_size(16, 16)
fn staged(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let run_quads = 3u * params.quads;
  let k_quads = 3u * run_quads;
  // Half of the threads stage a block of 4 steps along K each: of 4 outputs, or of the windows of 4 pixels. A thread writes whole
  // vec4s: to write a component may mean to write all four, so that threads must not share one.
  let line = (thread % 64u) / 4u;
  let lane = thread % 4u;
  let output0 = group.y * 64u + 4u * line;
  let p = group.x * 64u + 4u * line;
  let s = vec4<u32>(window(p), window(p + 1u), window(p + 2u), window(p + 3u));
  var sums = mat4x4<f32>(); // [output][pixel]
  for (var k0 = 0u; k0 < k_quads; k0 += 4u) {
    let quad = k0 + lane;
    if (thread < 64u) {
      var steps = mat4x4<f32>();
      if (quad < k_quads) { steps = block_weights(output0, quad, k_quads); }
      for (var e = 0u; e < 4u; e++) { left[(4u * lane + e) * PAD + line] = steps[e]; }
    } else if (thread < 128u) {
      var steps = mat4x4<f32>();
      if (quad < k_quads) {
        let at = quad / run_quads * (params.width + 2u) * params.quads + quad % run_quads;
        steps = block_windows(s, at);
      }
      for (var e = 0u; e < 4u; e++) { right[(4u * lane + e) * PAD + line] = steps[e]; }
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
  for (var column = 0u; column < 4u; column++) {
    let pixel = group.x * 64u + local.x * 4u + column;
    for (var r = 0u; r < 4u; r++) {
      let output = group.y * 64u + local.y * 4u + r;
      if (pixel < pixel_count() && output < params.outputs) {
        out[(pixel / plane * params.outputs + output) * plane + pixel % plane] = sums[r][column];
      }
    }
  }
}
