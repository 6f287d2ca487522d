// Layer normalisation over rows for CPU rasterisers: a workgroup is one subgroup and does LANES rows, backward BLOCK; its lanes stand
// side by side in a row. The formulas are those of layer-norm.wgsl.
//
// Why          a load costs by the instruction there, and the memory wants one stream, not a row per lane. A row is read twice, not
//              three times, and the rows of a workgroup share what is read of weight and bias. Forward, lane i keeps what is known of
//              row i, so that no loop over rows needs to be written out.
// Layout       x4, dy4, out4: [rows, n] contiguous float32 as vec4s; weight4, bias4: [n]; n > 0 a multiple of 4. stats: a vec2 per row,
//              the mean of the differences from its first element, and rstd. weight_parts, bias_parts: [ceil(rows / BLOCK), n], the
//              sums of dy * h and of dy over the rows of a workgroup. `*_start`: where stats and parts begin in what is bound.
// Grid         one workgroup for so many rows, folded by the host. workgroup = LANES = subgroup size.
// Edges        backward, rows beyond the end do the last one again, and count nothing in the parts.
// Precision    mean and variance in one pass: each lane sums differences from its own first elements, and their squares, and
//              these sums are merged (Chan et al. 1979). An element of the row is at most sqrt(n) deviations from its
//              mean, so that nothing worse than n / (4 * LANES) rounding errors of the variance can cancel.
// Determinism  fixed order; one writer per element.
import package::shared::subgroup_row::row_sum;
enable subgroups;

override LANES: u32 = 8u;

const BLOCK = 4u;

struct Params { rows: u32, n: u32, eps: f32, stats_start: u32, parts_start: u32 }

@group(0) @binding(0) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> weight_parts: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> bias_parts: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

struct Row { begin: u32, first: f32, mean: f32, rstd: f32 } // mean: of the differences from `first`

fn centred(value: vec4<f32>, row: Row) -> vec4<f32> {
  return (value - row.first) - row.mean;
}

fn normal(value: vec4<f32>, row: Row) -> vec4<f32> {
  return centred(value, row) * row.rstd;
}

// The first element of the row that begins at `begin`, the mean of the differences from it, and rstd; in all lanes.
fn measure(begin: u32, lane: u32) -> vec3<f32> {
  let quads = params.n / 4u;
  let end = begin + quads;
  let own = x4[begin + min(lane, quads - 1u)];
  var total = vec4<f32>(0.0);
  var squares = 0.0;
  for (var i = begin + lane; i < end; i += 2u * LANES) {
    let d = x4[i] - own;
    let next = x4[min(i + LANES, end - 1u)] - own;
    let e = select(vec4<f32>(0.0), next, i + LANES < end);
    total += d + e;
    squares += dot(d, d) + dot(e, e);
  }
  let count = f32((quads + LANES - 1u - lane) / LANES);
  let mean = total / max(count, 1.0);
  let first = x4[begin].x;
  let place = (own - first) + mean; // of this lane's mean, from `first`
  let shift = row_sum(place * count) / f32(params.n);
  let off = place - shift;
  let spread = max(squares - dot(total, mean), 0.0) + dot(off, off) * count;
  return vec3<f32>(first, shift, inverseSqrt(subgroupAdd(spread) / f32(params.n) + params.eps));
}

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (group.x + group.y * groups.x) * LANES;
  if (index >= params.rows) { return; }
  let rows = min(LANES, params.rows - index);
  let quads = params.n / 4u;
  let begin = index * quads;
  var own = vec3<f32>(); // of row `lane`
  for (var i = 0u; i < rows; i++) {
    let found = measure(begin + i * quads, lane);
    own = select(own, found, lane == i);
  }
  if (lane < rows) { stats[params.stats_start + index + lane] = own.yz; }
  for (var at = 0u; at < quads; at += LANES) {
    let j = min(at + lane, quads - 1u);
    let weight = weight4[j];
    let bias = bias4[j];
    for (var i = 0u; i < rows; i++) {
      let to = begin + i * quads + j;
      let centred = (x4[to] - subgroupShuffle(own.x, i)) - subgroupShuffle(own.y, i);
      let value = centred * subgroupShuffle(own.z, i) * weight + bias;
      if (at + lane < quads) { out4[to] = value; }
    }
  }
}

fn known(index: u32) -> Row {
  let row = min(index, params.rows - 1u);
  let begin = row * (params.n / 4u);
  let s = stats[params.stats_start + row];
  return Row(begin, x4[begin].x, s.x, s.y);
}

struct Sums { g: vec4<f32>, gh: vec4<f32> }

fn include(sums: Sums, j: u32, weight: vec4<f32>, row: Row) -> Sums {
  let g = dy4[row.begin + j] * weight;
  return Sums(sums.g + g, fma(g, centred(x4[row.begin + j], row), sums.gh));
}

// The means of g and of g * h of a row, each as it enters dx.
fn means(sums: Sums, row: Row) -> vec2<f32> {
  return vec2<f32>(row_sum(sums.g), row_sum(sums.gh) * row.rstd) / f32(params.n);
}

// dy and dy * h of four elements; their dx is stored.
struct Step { dy: vec4<f32>, dyh: vec4<f32> }

fn step_back(j: u32, weight: vec4<f32>, row: Row, mean: vec2<f32>) -> Step {
  let h = normal(x4[row.begin + j], row);
  let dy = dy4[row.begin + j];
  out4[row.begin + j] = row.rstd * (dy * weight - mean.x - h * mean.y);
  return Step(dy, dy * h);
}

@compute @workgroup_size(LANES)
fn backward(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let four = group.x + group.y * groups.x;
  let index = four * BLOCK;
  if (index >= params.rows) { return; }
  let quads = params.n / 4u;
  let r0 = known(index);
  let r1 = known(index + 1u);
  let r2 = known(index + 2u);
  let r3 = known(index + 3u);
  let zero = Sums(vec4<f32>(0.0), vec4<f32>(0.0));
  var s0 = zero;
  var s1 = zero;
  var s2 = zero;
  var s3 = zero;
  for (var j = lane; j < quads; j += LANES) {
    let weight = weight4[j];
    s0 = include(s0, j, weight, r0);
    s1 = include(s1, j, weight, r1);
    s2 = include(s2, j, weight, r2);
    s3 = include(s3, j, weight, r3);
  }
  let m0 = means(s0, r0);
  let m1 = means(s1, r1);
  let m2 = means(s2, r2);
  let m3 = means(s3, r3);
  let part = params.parts_start + four * quads;
  let c1 = select(1.0, 0.0, index + 1u >= params.rows);
  let c2 = select(1.0, 0.0, index + 2u >= params.rows);
  let c3 = select(1.0, 0.0, index + 3u >= params.rows);
  for (var j = lane; j < quads; j += LANES) {
    let weight = weight4[j];
    let t0 = step_back(j, weight, r0, m0);
    let t1 = step_back(j, weight, r1, m1);
    let t2 = step_back(j, weight, r2, m2);
    let t3 = step_back(j, weight, r3, m3);
    weight_parts[part + j] = (t0.dyh + c1 * t1.dyh) + (c2 * t2.dyh + c3 * t3.dyh);
    bias_parts[part + j] = (t0.dy + c1 * t1.dy) + (c2 * t2.dy + c3 * t3.dy);
  }
}
