// A tile of a matrix product on a GPU: slices of both operands along K are staged in workgroup memory, and every thread
// adds up 4 or 8 rows x 4 or 8 columns of the tile in registers. Used by matmul-tiled and conv2d-tiled.
//
// The tile     4 * BLOCKS_Y * THREADS_Y rows x 4 * BLOCKS_X * THREADS_X columns. A thread's second block of rows (columns) is half
//              a tile away from its first, so that neighbouring threads read neighbouring vec4s.
// Slices       SLICE steps of K, one row of vec4s (4 rows, or 4 columns, of the tile) per step. Rows are turned by the step
//              they belong to (turn): who stages 4 x 4 blocks that were read along K writes rows four steps apart at once,
//              which would fall into the same banks.
// Bounds       Dawn clamps every index that it cannot prove to be inside, which costs as much as the read. It follows +, *, %,
//              min and loops with constant bounds, but neither calls nor &: hence min and %, written out.
// Host         THREADS_*, BLOCKS_* and SLICE are powers of two, BLOCKS_* 1 or 2, SLICE 4 to 32, THREADS = THREADS_X * THREADS_Y.
//              16 * SLICE * (BLOCKS_X * THREADS_X + BLOCKS_Y * THREADS_Y) bytes of workgroup memory.
// Determinism  K is walked in order: the bits do not depend on the shape of the tile.
import package::shared::outer_product::outer;

override THREADS_X: u32 = 16u;
override THREADS_Y: u32 = 16u;
override BLOCKS_X: u32 = 1u;
override BLOCKS_Y: u32 = 1u;
override SLICE: u32 = 16u;
override THREADS: u32 = 256u;
override LEFT_QUADS: u32 = THREADS_Y * BLOCKS_Y;
override RIGHT_QUADS: u32 = THREADS_X * BLOCKS_X;
override LEFT_SIZE: u32 = LEFT_QUADS * SLICE;
override RIGHT_SIZE: u32 = RIGHT_QUADS * SLICE;

var<workgroup> left: array<vec4<f32>, LEFT_SIZE>; // [SLICE][LEFT_QUADS]
var<workgroup> right: array<vec4<f32>, RIGHT_SIZE>; // [SLICE][RIGHT_QUADS]

// Named by the rows, then the columns of the thread's blocks.
struct Tile { c00: mat4x4<f32>, c01: mat4x4<f32>, c10: mat4x4<f32>, c11: mat4x4<f32> }

// Which blocks of the tile a thread has: x among the columns, y among the rows. 32 neighbours (mostly what runs in
// lockstep) take a patch of 8 x 4, which reads the fewest different vec4s.
fn thread_place(thread: u32) -> vec2<u32> {
  if (THREADS_X % 8u == 0u && THREADS_Y % 4u == 0u) {
    let group = thread / 32u;
    let across = max(1u, THREADS_X / 8u); // 0 would not compile even where it is not used
    return vec2<u32>(
      8u * (group % across) + thread % 8u,
      4u * (group / across) + (thread / 8u) % 4u,
    );
  }
  return vec2<u32>(thread % THREADS_X, thread / THREADS_X);
}

fn turn(k: u32) -> u32 { return (k / 4u) * (32u / SLICE); }

// Stages 4 rows of the tile (quad `quad` of them) at steps k .. k + 3, one vec4 per step; k is a multiple of 4.
fn stage_left(k: u32, quad: u32, steps: mat4x4<f32>) {
  let at = min(k, SLICE - 4u) * LEFT_QUADS + (quad + turn(k)) % LEFT_QUADS;
  left[at] = steps[0];
  left[at + LEFT_QUADS] = steps[1];
  left[at + 2u * LEFT_QUADS] = steps[2];
  left[at + 3u * LEFT_QUADS] = steps[3];
}

fn stage_right(k: u32, quad: u32, steps: mat4x4<f32>) {
  let at = min(k, SLICE - 4u) * RIGHT_QUADS + (quad + turn(k)) % RIGHT_QUADS;
  right[at] = steps[0];
  right[at + RIGHT_QUADS] = steps[1];
  right[at + 2u * RIGHT_QUADS] = steps[2];
  right[at + 3u * RIGHT_QUADS] = steps[3];
}

// The tile with the staged slice added; barriers are the caller's.
fn add_slice(tile: Tile, at: vec2<u32>) -> Tile {
  var sum = tile;
  let x = min(at.x, THREADS_X - 1u);
  let y = min(at.y, THREADS_Y - 1u);
  for (var k = 0u; k < SLICE; k++) {
    let t = turn(k);
    let l0 = left[k * LEFT_QUADS + (y + t) % LEFT_QUADS];
    let r0 = right[k * RIGHT_QUADS + (x + t) % RIGHT_QUADS];
    // Where there is one block only, these are read again, and no use of them is left to compile.
    let l1 = left[k * LEFT_QUADS + (y + THREADS_Y + t) % LEFT_QUADS];
    let r1 = right[k * RIGHT_QUADS + (x + THREADS_X + t) % RIGHT_QUADS];
    sum.c00 = outer(sum.c00, l0, r0);
    if (BLOCKS_X > 1u) { sum.c01 = outer(sum.c01, l0, r1); }
    if (BLOCKS_Y > 1u) {
      sum.c10 = outer(sum.c10, l1, r0);
      if (BLOCKS_X > 1u) { sum.c11 = outer(sum.c11, l1, r1); }
    }
  }
  return sum;
}

// Steps from `count` on are 0.
fn first_steps(steps: mat4x4<f32>, count: u32) -> mat4x4<f32> {
  let none = vec4<f32>(0.0);
  return mat4x4<f32>(
    steps[0],
    select(none, steps[1], count > 1u),
    select(none, steps[2], count > 2u),
    select(none, steps[3], count > 3u),
  );
}
