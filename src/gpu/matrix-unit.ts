/**
 * The matrix unit of a GPU (tensor cores), which WebGPU offers as an experiment: multiplies small matrices of halves and
 * sums in float32. Dawn wants it unlocked (`platform-node.ts`); a browser wants --enable-unsafe-webgpu.
 */

/** Expected to lose its prefix; the directive in shaders/shared/matrix_unit.wgsl goes with it. */
export const MATRIX_FEATURE = 'chromium-experimental-subgroup-matrix';

/** The shapes that kernels are written for, best first: M x N results, sums over K, and the type of the operands. */
const SHAPES = [
  { name: 'm16n16k16', m: 16, n: 16, k: 16, operands: 'f16' },
  { name: 'm8n16k16', m: 8, n: 16, k: 16, operands: 'f16' },
  { name: 'm8n8k8', m: 8, n: 8, k: 8, operands: 'f16' },
  { name: 'm8n8k8-f32', m: 8, n: 8, k: 8, operands: 'f32' },
] as const;

export type MatrixShape = (typeof SHAPES)[number]['name'];

export interface MatrixUnit {
  readonly shape: MatrixShape;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** float16, or float32 that hold halves. Sums are always float32. */
  readonly operands: 'f16' | 'f32';
  /** Lanes of the largest subgroup: workgroups are multiples of it. */
  readonly lanes: number;
}

/** One line of what an adapter lists. */
export interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** The part of an adapter's info that this is about. */
type Info = Pick<GPUAdapterInfo, 'subgroupMaxSize'>;

/** What an adapter lists, in its order; Dawn's name for it is in no standard yet. */
export function matrixConfigs(info: Info): MatrixConfig[] {
  const listed: unknown = Reflect.get(info, 'subgroupMatrixConfigs');
  if (!Array.isArray(listed)) return [];
  // Their values come by getters of the prototype, so that printing or copying one shows nothing.
  return listed.map((config: object) => ({
    componentType: String(Reflect.get(config, 'componentType')),
    resultComponentType: String(Reflect.get(config, 'resultComponentType')),
    M: Number(Reflect.get(config, 'M')),
    N: Number(Reflect.get(config, 'N')),
    K: Number(Reflect.get(config, 'K')),
  }));
}

export function describeConfig(config: MatrixConfig): string {
  const { componentType, resultComponentType, M, N, K } = config;
  return `${M}x${N}x${K} ${componentType} to ${resultComponentType}`;
}

/** The shape to use, or why there is none. Units that sum in float16 are refused: long sums overflow. */
export function chooseMatrixUnit(
  features: ReadonlySet<string>,
  info: Info,
): { unit: MatrixUnit | null; why: string } {
  if (!features.has(MATRIX_FEATURE)) {
    return { unit: null, why: `the adapter does not offer ${MATRIX_FEATURE}` };
  }
  if (!features.has('shader-f16')) {
    return { unit: null, why: 'the adapter does not offer shader-f16' };
  }
  const configs = matrixConfigs(info);
  const shape = SHAPES.find(({ m, n, k, operands }) =>
    configs.some(
      (c) =>
        c.componentType === operands &&
        c.resultComponentType === 'f32' &&
        c.M === m &&
        c.N === n &&
        c.K === k,
    ),
  );
  const lanes = info.subgroupMaxSize;
  if (!shape || !lanes) {
    const listed = configs.map(describeConfig).join(', ') || 'no shape';
    const wanted = SHAPES.map((s) => `${s.m}x${s.n}x${s.k} ${s.operands} to f32`).join(', ');
    return {
      unit: null,
      why: `the adapter lists ${listed}; kernels are written for ${wanted}`,
    };
  }
  const { name, m, n, k, operands } = shape;
  return {
    unit: { shape: name, m, n, k, operands, lanes },
    why: `${m}x${n}x${k}, ${operands} operands, float32 sums, subgroups of up to ${lanes}`,
  };
}
