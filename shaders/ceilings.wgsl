// The two ceilings of an adapter, as kernels: multiply-adds that never leave the registers, and a copy.
//
// flops   each thread runs `steps` rounds of 8 independent vec4 chains of four fma: 2 * 4 * 8 * 4 operations a round. Four to an
//         assignment, because in a loop under a mask (lavapipe) an assignment costs as much as the arithmetic. The result
//         is stored so that nothing can be left out.
// copy    each thread copies VECS vec4s, a workgroup's lying together, neighbours by neighbouring threads.
// Grid    one-dimensional workgroups of WORKGROUP threads, folded by the host.
import package::shared::grid::Invocation;
import package::shared::grid::group_index;

override WORKGROUP: u32 = 256u;
override VECS: u32 = 1u;

struct Params { steps: u32, vecs: u32, seed: f32 }

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn four(x: vec4<f32>, factor: vec4<f32>, shift: vec4<f32>) -> vec4<f32> {
  return fma(fma(fma(fma(x, factor, shift), factor, shift), factor, shift), factor, shift);
}

@compute @workgroup_size(WORKGROUP)
fn flops(at: Invocation) {
  let thread = group_index(at) * WORKGROUP + at.thread;
  let factor = vec4<f32>(params.seed);
  let shift = vec4<f32>(1.0 - params.seed);
  var a = vec4<f32>(f32(thread));
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  var e = a + 4.0;
  var f = a + 5.0;
  var g = a + 6.0;
  var h = a + 7.0;
  for (var step = 0u; step < params.steps; step++) {
    a = four(a, factor, shift);
    b = four(b, factor, shift);
    c = four(c, factor, shift);
    d = four(d, factor, shift);
    e = four(e, factor, shift);
    f = four(f, factor, shift);
    g = four(g, factor, shift);
    h = four(h, factor, shift);
  }
  out[thread] = ((a + b) + (c + d)) + ((e + f) + (g + h));
}

@compute @workgroup_size(WORKGROUP)
fn copy(at: Invocation) {
  let first = group_index(at) * WORKGROUP * VECS + at.thread;
  let end = min(first + WORKGROUP * VECS, params.vecs);
  for (var i = first; i < end; i += WORKGROUP) { out[i] = source[i]; }
}
