// A convolution seen as a matrix product: what conv2d-subgroup, conv2d-tiled and conv2d-rows have in common.
//
// The images come packed, channels last and padded (conv2d-pack.wgsl), so that the window of a pixel is a few
// `runs` of consecutive vec4s at fixed distances: no im2col buffer, no test of borders, no division per step.
// Forward      rows: output channels of a group; columns: output pixels; K: the window of a pixel.
// Input        dX is such a product too, of dY with the flipped weights. With stride s, the pixels of dX fall into
// gradient     s * s phases, each with its own taps; phases with equally many taps are rows of one product:
//              row (c, a, b), column (image, j, i) is dX[image, c, j * step_h + first_h + a, i * step_w + first_w + b].
// Element      what packed images and weights are made of: float32, or with `?half` float16, widened when loaded.
import package::shared::element::Element;

struct Params {
  groups: u32,
  rows: u32, // of one group's product
  images: u32, grid_h: u32, grid_w: u32, // the columns: pixels (image, j, i)
  source_h: u32, source_w: u32, source_quads: u32, // packed images, [images, h, w, quads] of vec4
  group_quads: u32, // vec4s of a pixel that belong to one group
  stride_h: u32, stride_w: u32, origin_h: u32, origin_w: u32, // pixel (j, i) begins at (j * stride + origin)
  runs: u32, runs_per_row: u32, run_quads: u32, run_down: u32, run_right: u32, // the window, in vec4s
  column_folds: u32, // workgroups along z for each group, when those along x do not suffice
  out_channels: u32, group_channels: u32, out_h: u32, out_w: u32,
  phases_h: u32, phases_w: u32, step_h: u32, step_w: u32, first_h: i32, first_w: i32,
  out_start: u32, // where the first image of this part stands in `out`
  // weight gradient: dY packed as the images are, and how the pixels are split into parts
  dy_h: u32, dy_w: u32, dy_quads: u32, dy_group_quads: u32,
  lines_per_part: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight4: array<vec4<Element>>; // [groups, rows, runs * run_quads]
@group(0) @binding(2) var<storage, read> source4: array<vec4<Element>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [out_channels]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [images, out_channels, out_h, out_w]
@group(0) @binding(5) var<storage, read> dy4: array<vec4<Element>>;
@group(0) @binding(6) var<storage, read_write> parts4: array<vec4<f32>>; // [parts, groups, rows, runs * run_quads]

override BIAS: bool = false;

fn pixel_count() -> u32 {
  return params.images * params.grid_h * params.grid_w;
}

// Which group and which tile of columns a workgroup has.
fn group_and_tile(group: vec3<u32>, groups: vec3<u32>) -> vec2<u32> {
  return vec2<u32>(
    group.z / params.column_folds,
    group.x + (group.z % params.column_folds) * groups.x,
  );
}

// Where the window of pixel (image, j, i) begins in source4.
fn window_start(image: u32, j: u32, i: u32) -> u32 {
  let h = image * params.source_h + j * params.stride_h + params.origin_h;
  return (h * params.source_w + i * params.stride_w + params.origin_w) * params.source_quads;
}

// The same by the pixel's number; the last pixel for those beyond.
fn pixel_start(number: u32) -> u32 {
  let pixel = min(number, pixel_count() - 1u);
  let line = pixel / params.grid_w;
  return window_start(line / params.grid_h, line % params.grid_h, pixel % params.grid_w);
}

// Where dY and the window of a pixel begin, for the weight gradient.
fn step_at(pixel: u32) -> vec2<u32> {
  let line = pixel / params.grid_w;
  let image = line / params.grid_h;
  let j = line % params.grid_h;
  let i = pixel % params.grid_w;
  let h = image * params.dy_h + j;
  return vec2<u32>((h * params.dy_w + i) * params.dy_quads, window_start(image, j, i));
}

// Where run `run` of a window stands, from the window's start.
fn run_offset(run: u32) -> u32 {
  return (run / params.runs_per_row) * params.run_down + (run % params.runs_per_row) * params.run_right;
}

// Where vec4 `quad` of a window stands, from the window's start.
fn quad_offset(quad: u32) -> u32 {
  return run_offset(quad / params.run_quads) + quad % params.run_quads;
}

// Channel and phase of a row of the product.
fn row_target(group: u32, row: u32) -> vec3<u32> {
  let phases = params.phases_h * params.phases_w;
  let phase = row % phases;
  return vec3<u32>(
    group * params.group_channels + row / phases,
    phase / params.phases_w,
    phase % params.phases_w,
  );
}

struct PixelTarget { image: u32, h: i32, w: i32 }

fn pixel_target(pixel: u32) -> PixelTarget {
  let line = pixel / params.grid_w;
  let j = line % params.grid_h;
  let i = pixel % params.grid_w;
  return PixelTarget(
    line / params.grid_h,
    i32(j * params.step_h) + params.first_h,
    i32(i * params.step_w) + params.first_w,
  );
}

fn store(value: f32, row: vec3<u32>, pixel: PixelTarget) {
  let h = pixel.h + i32(row.y);
  let w = pixel.w + i32(row.z);
  if (h < 0 || w < 0 || h >= i32(params.out_h) || w >= i32(params.out_w)) { return; }
  var result = value;
  if (BIAS) { result += bias[row.x]; }
  let line = (pixel.image * params.out_channels + row.x) * params.out_h + u32(h);
  out[params.out_start + line * params.out_w + u32(w)] = result;
}

// vec4 `quad` of row `row` of part `part` of the weight gradient.
fn part_index(part: u32, group: u32, row: u32, quad: u32) -> u32 {
  let line = (part * params.groups + group) * params.rows + row;
  return line * params.runs * params.run_quads + quad;
}
