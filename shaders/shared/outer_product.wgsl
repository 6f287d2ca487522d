// acc (4 rows x 4 columns, one vec4 per row) += `left`, a number for each row, times `right`, one for each column: the
// step of every register tile (matmul, convolution, attention).
fn outer(acc: mat4x4<f32>, left: vec4<f32>, right: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    fma(left.xxxx, right, acc[0]),
    fma(left.yyyy, right, acc[1]),
    fma(left.zzzz, right, acc[2]),
    fma(left.wwww, right, acc[3]),
  );
}
