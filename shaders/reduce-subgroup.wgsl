// Sum or maximum of runs of neighbouring elements for CPU rasterisers, as `rows` of reduce.wgsl: a workgroup is one subgroup and
// does one run, its lanes side by side, so that the memory sees one stream instead of one per lane.
//
// MODE         0: sum; 1: maximum (a NaN wins).
// Layout       x4: rows of n contiguous float32 from `x_start`, both multiples of 4; each row in `chunks` runs of `chunk` elements, a
//              multiple of 4; out: one number per run from `out_start`, times `scale`.
// Grid         a workgroup per run, folded by the host. workgroup = LANES = subgroup size, 4 or 8.
// Determinism  fixed order; one writer per element.
enable subgroups;

override LANES: u32 = 8u;
override MODE: u32 = 0u;

struct Params { runs: u32, n: u32, chunk: u32, chunks: u32, scale: f32, x_start: u32, out_start: u32 }

@group(0) @binding(0) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn combine(p: f32, q: f32) -> f32 {
  if (MODE == 1u) { return select(p, q, (p == p) & !(q <= p)); }
  return p + q;
}

fn combine4(p: vec4<f32>, q: vec4<f32>) -> vec4<f32> {
  if (MODE == 1u) { return select(p, q, (p == p) & !(q <= p)); }
  return p + q;
}

@compute @workgroup_size(LANES)
fn rows(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  if (index >= params.runs) { return; }
  let start = (index % params.chunks) * params.chunk;
  let row = params.x_start + (index / params.chunks) * params.n;
  let begin = (row + start) / 4u;
  let end = (row + min(start + params.chunk, params.n)) / 4u;
  var four = vec4<f32>(0.0);
  if (MODE == 1u) { four = x4[min(begin + lane, end - 1u)]; }
  for (var i = begin + lane; i < end; i += LANES) { four = combine4(four, x4[i]); }
  var result = combine(combine(four.x, four.y), combine(four.z, four.w));
  for (var s = LANES / 2u; s > 0u; s /= 2u) { result = combine(result, subgroupShuffleXor(result, s)); }
  if (lane == 0u) { out[params.out_start + index] = result * params.scale; }
}
