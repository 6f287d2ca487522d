// One stage of a sum: out[run] is the sum of a run of neighbouring elements of x; the host repeats until one is left.
//
// tree         a run is WORKGROUP * EACH elements: each thread adds EACH of them, WORKGROUP apart; then a tree in workgroup memory.
// own          a run of `run` elements for each thread alone.
// own4         the same by vec4s.
// Layout       x: `count` float32, for own4 a multiple of 4 and bound as x4; out: one float32 per run.
// Determinism  fixed order; no atomics.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 256u;
override EACH: u32 = 1u;

struct Params { count: u32, run: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> scratch: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn tree(at: Invocation) {
  let group = group_index(at);
  let first = group * WORKGROUP * EACH + at.thread;
  let end = min(first + WORKGROUP * EACH, params.count);
  var total = 0.0;
  for (var i = first; i < end; i += WORKGROUP) { total += x[i]; }
  scratch[at.thread] = total;
  workgroupBarrier();
  for (var s = WORKGROUP / 2u; s > 0u; s /= 2u) {
    if (at.thread < s) { scratch[at.thread] += scratch[at.thread + s]; }
    workgroupBarrier();
  }
  if (at.thread == 0u && group * WORKGROUP * EACH < params.count) { out[group] = scratch[0]; }
}

@compute @workgroup_size(WORKGROUP)
fn own(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  let first = index * params.run;
  if (first >= params.count) { return; }
  var total = 0.0;
  for (var i = first; i < min(first + params.run, params.count); i++) { total += x[i]; }
  out[index] = total;
}

@compute @workgroup_size(WORKGROUP)
fn own4(at: Invocation) {
  let index = group_index(at) * WORKGROUP + at.thread;
  let first = index * params.run;
  if (first >= params.count) { return; }
  var total = vec4<f32>(0.0);
  for (var i = first / 4u; i < min(first + params.run, params.count) / 4u; i++) { total += x4[i]; }
  out[index] = (total.x + total.y) + (total.z + total.w);
}
