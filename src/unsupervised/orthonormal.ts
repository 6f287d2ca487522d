/**
 * Orthonormal vectors that span what `vectors` span, in float64 (modified Gram-Schmidt, twice, which is enough:
 * Giraud et al. 2005). A vector that depends on those before it is replaced by a unit vector that does not.
 */
export function orthonormalise(vectors: readonly Float64Array[]): Float64Array[] {
  const done: Float64Array[] = [];
  let spare = 0;
  for (const vector of vectors) {
    let own = vector.slice();
    let size = norm(own);
    project(own, done);
    // What is left of a dependent vector is rounding error: of float32, in which it was computed.
    while (!(norm(own) > 1e-6 * size)) {
      own = new Float64Array(own.length);
      own[spare++] = 1;
      size = 1;
      project(own, done);
    }
    const length = norm(own);
    done.push(own.map((v) => v / length));
  }
  return done;
}

function project(own: Float64Array, others: readonly Float64Array[]): void {
  for (let pass = 0; pass < 2; pass++) {
    for (const other of others) {
      let along = 0;
      for (let i = 0; i < own.length; i++) along += own[i]! * other[i]!;
      for (let i = 0; i < own.length; i++) own[i]! -= along * other[i]!;
    }
  }
}

function norm(values: Float64Array): number {
  let total = 0;
  for (const v of values) total += v * v;
  return Math.sqrt(total);
}

/** The columns of a row-major matrix with `count` of them. */
export function columnsOf(values: ArrayLike<number>, count: number): Float64Array[] {
  const rows = values.length / count;
  return Array.from({ length: count }, (_, c) =>
    Float64Array.from({ length: rows }, (_, r) => values[r * count + c]!),
  );
}

/** The row-major float32 matrix of these columns. */
export function fromColumns(columns: readonly Float64Array[]): Float32Array {
  const count = columns.length;
  const values = new Float32Array(count * (columns[0]?.length ?? 0));
  columns.forEach((column, c) => {
    for (let r = 0; r < column.length; r++) values[r * count + c] = column[r]!;
  });
  return values;
}
