// What the attention kernels share. Each owns rows (queries, or keys where keys_own) and walks the columns
// (keys, or queries) in 4 x 4 blocks, one vec4 over four columns per row. Parameters choose what is computed, not
// overrides: a CPU rasteriser takes seconds to compile a pipeline, and for as long as there are places that load.
//
//   scores   c = scale * a_row . a_col + bias     a: q and k
//   slopes   e = b_row . b_col                    b: the output's gradient and v
//
// Layout       operands: vec4s found by `*_at`: strides of batch, head and row, and the first vec4. stats: a vec2
//              (log-sum-exp, sum of dO * O) per query. bias: strides of batch, head, row and column; batch b uses
//              b % bias_batches; 0 of them: none.
// Element      of the operands: float32, or with `?half` float16, widened when loaded; all else is float32.
// Masks        a score below LOWEST counts for nothing, as does every column at or beyond the end.
// Dropout      of the weight (query i, key j of its bag): word j % 4 of Philox block (query line) * key_quads + j / 4.
import package::shared::element::Element;
import package::shared::nan_max::nan_max4;
import package::shared::philox::philox_uniform;

struct Params {
  rows_a_at: vec4<u32>,
  cols_a_at: vec4<u32>,
  rows_b_at: vec4<u32>,
  cols_b_at: vec4<u32>,
  out_at: vec4<u32>,
  stats_at: vec4<u32>,
  bias_at: vec4<u32>,
  rows: u32,
  cols: u32,
  a4: u32,
  b4: u32,
  out4: u32,
  batches: u32,
  heads: u32,
  splits: u32,
  split_cols: u32,
  bias_start: u32,
  bias_batches: u32,
  first_batch: u32,
  queries: u32,
  first_query: u32,
  key_quads: u32,
  offset: u32,
  seed: vec2<u32>,
  keys_own: u32, // 1: rows are keys, columns queries
  values: u32, // gradient: 1: of the values, not of the rows' other operand
  store_scores: u32, // 1: the gradient of the scores goes to ds
  p: f32, // of dropout; 0: none
  scale: f32,
  stored_scale: f32, // on what goes to ds
}

@group(0) @binding(0) var<storage, read> rows_a: array<vec4<Element>>;
@group(0) @binding(1) var<storage, read> cols_a: array<vec4<Element>>;
@group(0) @binding(2) var<storage, read> rows_b: array<vec4<Element>>;
@group(0) @binding(3) var<storage, read> cols_b: array<vec4<Element>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> lse: array<f32>;
@group(0) @binding(8) var<storage, read_write> ds: array<f32>;
@group(0) @binding(9) var<uniform> params: Params;

const MASKED = -3.0e38f;
const LOWEST = -1.0e38f;
const HUGE = 3.4028234e38f;

// A workgroup's share of the work.
struct Place { batch: u32, head: u32, split: u32, row: u32, column: u32, begin: u32, end: u32 }

// Row blocks run fastest, then the passes over the output's width, heads, batches and splits of the columns.
fn place_of(group: u32, block_rows: u32, pass4: u32) -> Place {
  let row_blocks = (params.rows + block_rows - 1u) / block_rows;
  let passes = (params.out4 + pass4 - 1u) / pass4;
  var place: Place;
  var rest = group;
  place.row = (rest % row_blocks) * block_rows;
  rest /= row_blocks;
  place.column = (rest % passes) * pass4;
  rest /= passes;
  place.head = rest % params.heads;
  rest /= params.heads;
  place.batch = rest % params.batches;
  place.split = rest / params.batches;
  place.begin = place.split * params.split_cols;
  place.end = min(params.cols, place.begin + params.split_cols);
  return place;
}

fn address(at: vec4<u32>, place: Place, row: u32) -> u32 {
  return at.w + place.batch * at.x + place.head * at.y + row * at.z;
}

fn row_addresses(at: vec4<u32>, place: Place, row: u32) -> vec4<u32> {
  let r = min(row + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.rows - 1u));
  return address(at, place, 0u) + r * at.z;
}

fn col_addresses(at: vec4<u32>, place: Place, col: u32) -> vec4<u32> {
  let c = min(col + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(place.end - 1u));
  return address(at, place, 0u) + c * at.z;
}

// Where the output (and log-sum-exp) of a row goes; splits follow each other as further batches.
fn out_address(at: vec4<u32>, place: Place, row: u32) -> u32 {
  return at.w + (place.split * params.batches + place.batch) * at.x + place.head * at.y + row * at.z;
}

fn bias_row(at: u32, col: u32) -> vec4<f32> {
  let c = min(col + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.cols - 1u)) * params.bias_at.w + at;
  return vec4<f32>(bias[c.x], bias[c.y], bias[c.z], bias[c.w]);
}

// What the scores of a block begin with: the bias, and MASKED beyond the end.
fn bias_block(place: Place, row: u32, col: u32) -> mat4x4<f32> {
  var tile = mat4x4<f32>();
  if (params.bias_batches > 0u) {
    let batch = (params.first_batch + place.batch) % params.bias_batches;
    let at = params.bias_start + batch * params.bias_at.x + place.head * params.bias_at.y;
    let r = min(row + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.rows - 1u)) * params.bias_at.z + at;
    tile = mat4x4<f32>(bias_row(r.x, col), bias_row(r.y, col), bias_row(r.z, col), bias_row(r.w, col));
  }
  let beyond = col + vec4<u32>(0u, 1u, 2u, 3u) >= vec4<u32>(place.end);
  let none = vec4<f32>(MASKED);
  return mat4x4<f32>(
    select(tile[0], none, beyond),
    select(tile[1], none, beyond),
    select(tile[2], none, beyond),
    select(tile[3], none, beyond),
  );
}

// 1 / (1 - p) where a weight is kept, else 0.
fn kept(place: Place, query: u32, key: u32) -> vec4<f32> {
  let line = ((params.first_batch + place.batch) * params.heads + place.head) * params.queries;
  let quad = (line + params.first_query + query) * params.key_quads + key / 4u;
  let u = philox_uniform(params.seed, params.offset, quad);
  return select(vec4<f32>(0.0), vec4<f32>(1.0 / (1.0 - params.p)), u >= vec4<f32>(params.p));
}

fn times_kept(tile: mat4x4<f32>, place: Place, row: u32, col: u32) -> mat4x4<f32> {
  if (params.p == 0.0) { return tile; }
  let line = select(row, col, params.keys_own == 1u);
  let key = select(col, row, params.keys_own == 1u);
  // One vec4 over four keys per query; in a loop, because it takes long to compile.
  var keep = mat4x4<f32>();
  for (var i = 0u; i < 4u; i++) { keep = mat4x4<f32>(keep[1], keep[2], keep[3], kept(place, line + i, key)); }
  if (params.keys_own == 1u) { keep = transpose(keep); }
  return mat4x4<f32>(tile[0] * keep[0], tile[1] * keep[1], tile[2] * keep[2], tile[3] * keep[3]);
}

// exp(score - shift); 0 where masked. Some drivers' exp turns a NaN into a number.
fn weigh(score: vec4<f32>, shift: vec4<f32>) -> vec4<f32> {
  let x = score - shift;
  let weight = select(exp(x), x, x != x);
  return select(weight, vec4<f32>(0.0), score < vec4<f32>(LOWEST));
}

fn nan_max_block(a: mat4x4<f32>, b: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(nan_max4(a[0], b[0]), nan_max4(a[1], b[1]), nan_max4(a[2], b[2]), nan_max4(a[3], b[3]));
}

// One number per row.
fn row_maxima(tile: mat4x4<f32>) -> vec4<f32> {
  let t = transpose(tile);
  return nan_max4(nan_max4(t[0], t[1]), nan_max4(t[2], t[3]));
}

fn row_sums(tile: mat4x4<f32>) -> vec4<f32> {
  let t = transpose(tile);
  return t[0] + t[1] + t[2] + t[3];
}

// Rows of `block` times one number each.
fn scale_rows(tile: mat4x4<f32>, by: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(tile[0] * by.x, tile[1] * by.y, tile[2] * by.z, tile[3] * by.w);
}

// Probabilities of a block from its scores and the shifts of its rows (a maximum, in the forward pass).
fn row_weights(score: mat4x4<f32>, shift: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    weigh(score[0], shift.xxxx),
    weigh(score[1], shift.yyyy),
    weigh(score[2], shift.zzzz),
    weigh(score[3], shift.wwww),
  );
}

fn stats_of(place: Place, query: u32, queries: u32) -> vec2<f32> {
  return stats[address(params.stats_at, place, min(query, queries - 1u))];
}

// Log-sum-exp and sum of dO * O of the four queries of a block: vectors over its rows, or its columns.
struct BlockStats { lse: vec4<f32>, dots: vec4<f32> }

fn block_stats(place: Place, query: u32, queries: u32) -> BlockStats {
  let s0 = stats_of(place, query, queries);
  let s1 = stats_of(place, query + 1u, queries);
  let s2 = stats_of(place, query + 2u, queries);
  let s3 = stats_of(place, query + 3u, queries);
  return BlockStats(vec4<f32>(s0.x, s1.x, s2.x, s3.x), vec4<f32>(s0.y, s1.y, s2.y, s3.y));
}

fn block_weights(score: mat4x4<f32>, known: BlockStats) -> mat4x4<f32> {
  if (params.keys_own == 1u) {
    return mat4x4<f32>(
      weigh(score[0], known.lse),
      weigh(score[1], known.lse),
      weigh(score[2], known.lse),
      weigh(score[3], known.lse),
    );
  }
  return row_weights(score, known.lse);
}

// The gradient of the scores, before the scale: weight * (slope - dots).
fn score_gradient(weight: mat4x4<f32>, slope: mat4x4<f32>, known: BlockStats) -> mat4x4<f32> {
  if (params.keys_own == 1u) {
    return mat4x4<f32>(
      weight[0] * (slope[0] - known.dots),
      weight[1] * (slope[1] - known.dots),
      weight[2] * (slope[2] - known.dots),
      weight[3] * (slope[3] - known.dots),
    );
  }
  return mat4x4<f32>(
    weight[0] * (slope[0] - known.dots.x),
    weight[1] * (slope[1] - known.dots.y),
    weight[2] * (slope[2] - known.dots.z),
    weight[3] * (slope[3] - known.dots.w),
  );
}

// Writes the gradient of the scores, [batch, head, row, column], times stored_scale.
fn store_scores(tile: mat4x4<f32>, place: Place, row: u32, col: u32) {
  var values = params.stored_scale * tile;
  let base = (place.batch * params.heads + place.head) * params.rows;
  for (var e = 0u; e < 16u; e++) {
    let r = row + e / 4u;
    let c = col + e % 4u;
    let at = (base + r) * params.cols + c;
    if (r < params.rows && c < params.cols) { ds[at] = values[e / 4u][e % 4u]; }
  }
}
