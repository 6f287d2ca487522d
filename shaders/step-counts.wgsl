// How many steps each parameter has taken, counted where it is known whether a step is taken: on the GPU.
//
// count  slots first <= s < first + count: taken[s] += 1 unless clip[2] is 0 (a gradient was not finite), and
//        now[1 + s] = what an update depends on in a parameter's step number taken[s]; now[0] = [clip[1], clip[2]].
//
// Layout       clip: [norm, scale, finite] (grad-norm.wgsl). taken: u32 per slot. table_of: [begin, length] per slot of
//              its part of `table`, whose entry i is for step i + 1; the last one holds for all later steps.
//              now: a pair, then one per slot.
// Grid         one thread per slot.
// Determinism  every element has one writer, but for now[0], to which all write the same.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 64u;

struct Params { first: u32, count: u32 }

@group(0) @binding(0) var<storage, read> clip: array<f32>;
@group(0) @binding(1) var<storage, read_write> taken: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> table_of: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> now: array<vec2<f32>>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn count(at: Invocation) {
  let i = group_index(at) * WORKGROUP + at.thread;
  let finite = clip[2];
  if (i == 0u) { now[0] = vec2(clip[1], finite); }
  if (i >= params.count || finite == 0.0) { return; }
  let slot = params.first + i;
  let steps = taken[slot] + 1u;
  taken[slot] = steps;
  let own = table_of[slot];
  now[1u + slot] = table[own.x + min(steps, own.y) - 1u];
}
