declare module '*.wgsl' {
  const code: string;
  export default code;
}
/** The same with operands as textures. */
declare module '*.wgsl?texels' {
  const code: string;
  export default code;
}
/** The same with operands in float16: it needs the feature shader-f16. */
declare module '*.wgsl?half' {
  const code: string;
  export default code;
}
/**
 * Kernels of a matrix unit, by its shape (src/gpu/matrix-unit.ts); `emulated` for tests, in plain WGSL. Each combination stands by
 * itself, because a pattern may have one asterisk.
 */
declare module '*.wgsl?m16n16k16' {
  const code: string;
  export default code;
}
declare module '*.wgsl?m16n16k16&emulated' {
  const code: string;
  export default code;
}
declare module '*.wgsl?m8n16k16' {
  const code: string;
  export default code;
}
declare module '*.wgsl?m8n16k16&emulated' {
  const code: string;
  export default code;
}
declare module '*.wgsl?m8n8k8' {
  const code: string;
  export default code;
}
declare module '*.wgsl?m8n8k8&emulated' {
  const code: string;
  export default code;
}
declare module '*.wgsl?m8n8k8&float_operands' {
  const code: string;
  export default code;
}
declare module '*.wgsl?m8n8k8&float_operands&emulated' {
  const code: string;
  export default code;
}
declare module '*.wgsl?half&m16n16k16' {
  const code: string;
  export default code;
}
declare module '*.wgsl?half&m16n16k16&emulated' {
  const code: string;
  export default code;
}
declare module '*.wgsl?half&m8n16k16' {
  const code: string;
  export default code;
}
declare module '*.wgsl?half&m8n16k16&emulated' {
  const code: string;
  export default code;
}
declare module '*.wgsl?half&m8n8k8' {
  const code: string;
  export default code;
}
declare module '*.wgsl?half&m8n8k8&emulated' {
  const code: string;
  export default code;
}
declare module '*.wgsl?half&m8n8k8&float_operands' {
  const code: string;
  export default code;
}
declare module '*.wgsl?half&m8n8k8&float_operands&emulated' {
  const code: string;
  export default code;
}
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export * from 'wgsl_reflect';
}
