// What the operands of products are in memory: float32, or float16 in kernels linked with the condition `half`, which start
// with `@if(half) enable f16;`. They are widened when they are loaded.
@if(half) alias Element = f16;
@else alias Element = f32;
