// Convolution 3 x 3, stride 1, padding 1, of packed images (see packed.wgsl): a workgroup is a subgroup, which owns 4 * LANES outputs
// of 4 * LANES pixels. Each lane loads the weights of 4 outputs and the windows of 4 pixels, and hands the windows to all.
//
// handed       one step of K changes all accumulators.
// steps        four steps of K change them at once.
// Grid         x: tiles of 4 * LANES pixels, y: of 4 * LANES outputs. workgroup = LANES = subgroup size, 4 or 8.
// Host         outputs are a multiple of 4.
// Edges        pixels and outputs beyond the end read the last ones and are not stored.
// Determinism  K is walked in order; one writer per element.
import package::shared::outer_product::outer;
enable subgroups;

override LANES: u32 = 8u;

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

// Stores a lane's tile: tiles[p / 4][p % 4][r], or transposed blocks.
fn store(tiles: array<mat4x4<f32>, 8>, transposed: bool, row: u32, first_pixel: u32) {
  var values = tiles;
  let plane = params.height * params.width;
  let pixels = min(4u * LANES, pixel_count() - first_pixel);
  for (var e = 0u; e < 4u * pixels; e++) {
    let p = e / 4u;
    let r = e % 4u;
    let pixel = first_pixel + p;
    if (row < params.outputs) {
      let at = (pixel / plane * params.outputs + row + r) * plane + pixel % plane;
      out[at] = values[p / 4u][select(p % 4u, r, transposed)][select(r, p % 4u, transposed)];
    }
  }
}

fn block_weights(k: u32) -> mat4x4<f32> {
  let row = 9u * params.quads;
  return transpose(mat4x4<f32>(weight4[k], weight4[k + row], weight4[k + 2u * row], weight4[k + 3u * row]));
}

fn block_windows(s: vec4<u32>, at: u32) -> mat4x4<f32> {
  return mat4x4<f32>(source4[s.x + at], source4[s.y + at], source4[s.z + at], source4[s.w + at]);
}

@compute @workgroup_size(LANES)
fn handed(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * LANES + lane) * 4u;
  let first_pixel = group.x * 4u * LANES;
  let run_quads = 3u * params.quads;
  let p = first_pixel + 4u * lane;
  var s = vec4<u32>(window(p), window(p + 1u), window(p + 2u), window(p + 3u));
  var w = min(row, params.outputs - 4u) * 9u * params.quads;
  var c0 = mat4x4<f32>();
  var c1 = mat4x4<f32>();
  var c2 = mat4x4<f32>();
  var c3 = mat4x4<f32>();
  var c4 = mat4x4<f32>();
  var c5 = mat4x4<f32>();
  var c6 = mat4x4<f32>();
  var c7 = mat4x4<f32>();
  for (var run = 0u; run < 3u; run++) {
    for (var at = 0u; at < run_quads; at++) {
      var left = block_weights(w + at);
      var right = transpose(block_windows(s, at));
      for (var steps = 4u; steps > 0u; steps--) {
        c0 = outer(c0, left[0], subgroupShuffle(right[0], 0u));
        c1 = outer(c1, left[0], subgroupShuffle(right[0], 1u));
        c2 = outer(c2, left[0], subgroupShuffle(right[0], 2u));
        c3 = outer(c3, left[0], subgroupShuffle(right[0], 3u));
        if (LANES > 4u) {
          c4 = outer(c4, left[0], subgroupShuffle(right[0], 4u));
          c5 = outer(c5, left[0], subgroupShuffle(right[0], 5u));
          c6 = outer(c6, left[0], subgroupShuffle(right[0], 6u));
          c7 = outer(c7, left[0], subgroupShuffle(right[0], 7u));
        }
        left = mat4x4<f32>(left[1], left[2], left[3], left[0]);
        right = mat4x4<f32>(right[1], right[2], right[3], right[0]);
      }
    }
    w += run_quads;
    s += (params.width + 2u) * params.quads;
  }
  store(array<mat4x4<f32>, 8>(c0, c1, c2, c3, c4, c5, c6, c7), true, row, first_pixel);
}

fn broadcast(quads: mat4x4<f32>, lane: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    subgroupShuffle(quads[0], lane),
    subgroupShuffle(quads[1], lane),
    subgroupShuffle(quads[2], lane),
    subgroupShuffle(quads[3], lane),
  );
}

@compute @workgroup_size(LANES)
fn steps(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * LANES + lane) * 4u;
  let first_pixel = group.x * 4u * LANES;
  let run_quads = 3u * params.quads;
  let p = first_pixel + 4u * lane;
  var s = vec4<u32>(window(p), window(p + 1u), window(p + 2u), window(p + 3u));
  var w = min(row, params.outputs - 4u) * 9u * params.quads;
  var c0 = mat4x4<f32>();
  var c1 = mat4x4<f32>();
  var c2 = mat4x4<f32>();
  var c3 = mat4x4<f32>();
  var c4 = mat4x4<f32>();
  var c5 = mat4x4<f32>();
  var c6 = mat4x4<f32>();
  var c7 = mat4x4<f32>();
  for (var run = 0u; run < 3u; run++) {
    for (var at = 0u; at < run_quads; at++) {
      let left = block_weights(w + at);
      let right = block_windows(s, at);
      c0 += left * broadcast(right, 0u);
      c1 += left * broadcast(right, 1u);
      c2 += left * broadcast(right, 2u);
      c3 += left * broadcast(right, 3u);
      if (LANES > 4u) {
        c4 += left * broadcast(right, 4u);
        c5 += left * broadcast(right, 5u);
        c6 += left * broadcast(right, 6u);
        c7 += left * broadcast(right, 7u);
      }
    }
    w += run_quads;
    s += (params.width + 2u) * params.quads;
  }
  store(array<mat4x4<f32>, 8>(c0, c1, c2, c3, c4, c5, c6, c7), false, row, first_pixel);
}
