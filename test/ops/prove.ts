/**
 * The three proofs that every operation owes, generated from its declaration: PyTorch's values and
 * gradients, a float64 reference over awkward shapes, and numeric gradients of the GPU path itself.
 *
 * Each runs with the kernels as tuned for this adapter, and again with those of the other class:
 * the workgroup-memory kernels of a GPU would otherwise never run on a machine without one.
 */
import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom, trimmed } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { cast } from '../../src/ops/cast.ts';
import { describeOp, type Op } from '../../src/ops/op.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { TIGHT, testDevice, tightDevice } from '../device.ts';
import { roundedToHalf } from '../halves.ts';
import { PROVEN_UNITS, unitDevice } from '../matrix-unit/units.ts';
import { loadGolden } from '../reference/goldens.ts';
import { dot, type Nd, nd, norm, Random } from './nd.ts';

export interface FuzzCase<Json> {
  readonly shapes: readonly Shape[];
  readonly options: Json;
}

export interface Proof<Options, Json> {
  op: Op<Options>;
  /** The op's options from those in the goldens and in `cases`; without it they are the same. */
  options?: (json: Json, device: Device) => Options;
  cases: readonly FuzzCase<Json>[];
  /** The operation in float64. */
  reference: (inputs: readonly Nd[], options: Json) => Nd;
  /** The values of an input, away from kinks and poles; without it standard normal. */
  draw?: (random: Random, shape: Shape, input: number) => ArrayLike<number>;
  /** Allowed error, relative to the largest magnitude of a tensor (1e-5). Say why where it is more. */
  tolerance?: number;
  /** The same on a matrix unit, where it takes more than operands in float16: attention's weights, too (1e-5). */
  matrixTolerance?: number;
  /** Absolute error that counts as none, for results that are zero in exact arithmetic (1e-6). */
  floor?: number;
  /** Relative to each value instead, for functions that span many powers of ten. */
  elementwise?: boolean;
  /** Of the numeric gradients (0.01); more where values are rounded coarsely. */
  step?: number;
  /** Inputs in which the operation is linear (the others held fixed): ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ is checked for each. */
  linearIn?: readonly number[];
  /**
   * The operation splits tensors larger than one binding: the float64 comparison runs once more where a binding
   * spans 1024 elements, on the same cases or on these. Rows that are bound in parts begin at multiples of 64
   * elements, so that 64 rows of an odd length must fit.
   */
  splits?: true | readonly FuzzCase<Json>[];
}

interface Values {
  readonly shape: Shape;
  readonly data: Float32Array;
}

interface Result {
  value: Values;
  grads: Values[];
}

export async function otherTuning(): Promise<Device> {
  const own = await testDevice();
  return testDevice(own.adapter.class === 'gpu' ? 'cpu' : 'gpu');
}

/** The same tests for both classes of adapter. */
export const TUNINGS: readonly {
  tuning: string;
  open: () => Promise<Device>;
  /** The same with bindings of `TIGHT` elements. */
  tight: () => Promise<Device>;
}[] = [
  { tuning: 'as tuned for this adapter', open: () => testDevice(), tight: () => tightDevice() },
  {
    tuning: 'as tuned for the other class',
    open: otherTuning,
    tight: async () => tightDevice((await otherTuning()).class),
  },
];

export function proveOp<Options, Json = Options>(proof: Proof<Options, Json>): void {
  const { op, reference, tolerance = 1e-5, floor = 1e-6, elementwise = false } = proof;
  const allowance = { relative: tolerance, floor, elementwise };
  const toOptions = proof.options ?? ((json: Json) => json as unknown as Options);
  const evaluate = (
    device: Device,
    inputs: readonly Values[],
    json: Json,
    weights: Float32Array,
    halves = 0,
  ) => evaluateOp(op, device, inputs, () => toOptions(json, device), weights, halves);
  const golden = () => loadGolden('ops', op.name);
  const draw = (cases: readonly FuzzCase<Json>[], halves = 0) =>
    cases.map((fuzz, i) => once(() => sample(proof, fuzz, i, halves)));
  const samples = draw(proof.cases);
  const splits = Array.isArray(proof.splits) ? draw(proof.splits) : samples;
  const { operands = 0 } = describeOp(op.name) ?? {};
  const halfSamples = draw(operands > 0 ? proof.cases : [], operands);
  const halfSplits = Array.isArray(proof.splits) ? draw(proof.splits, operands) : halfSamples;

  /** What differs from float64 in the values and gradients of these samples. */
  const compareWithFloat64 = async (
    device: Device,
    made: typeof samples,
    halves = 0,
    tolerance = allowance.relative,
  ) => {
    const wrong: string[] = [];
    for (const make of made) {
      const { label, options, inputs, weights, value, slopes } = make();
      const result = await evaluate(device, inputs, options, weights, halves);
      const problem = compare(result.value, value, { ...allowance, relative: tolerance });
      if (problem) wrong.push(`value, ${label}: ${problem}`);
      for (const { input, direction, slope } of slopes) {
        const grad = result.grads[input]!.data;
        // Rounding errors of the elements are independent: they add up like the norm.
        const allowed = tolerance * norm(grad) + floor * Math.sqrt(grad.length);
        const found = dot(grad, direction);
        if (!(Math.abs(found - slope) <= allowed)) {
          wrong.push(`gradient ${input}, ${label}: ${found} along a direction, expected ${slope}`);
        }
      }
    }
    return wrong;
  };

  describe(op.name, () => {
    it('has a float64 reference that agrees with PyTorch', async () => {
      const { cases, tensor } = await golden();
      expect(cases.length).toBeGreaterThan(0);
      for (const { name, inputs, options, output } of cases) {
        const expected = floats(tensor(output));
        const found = reference(
          inputs.map((key) => widen(floats(tensor(key)))),
          options as Json,
        );
        expect(found.shape, name).toEqual(expected.shape);
        // A golden is rounded to float32 once.
        expect(
          difference(found.data, expected.data, { relative: 1e-7, floor: 0 }),
          name,
        ).toBeNull();
      }
    });

    const onUnit = operands > 0 ? it : null;
    onUnit?.for(PROVEN_UNITS)(
      'agrees with float64 on a matrix unit, %s',
      { timeout: 240_000 }, // no other test shares these pipelines' compilation
      async ([, unit], { skip }) => {
        const device = await unitDevice(unit);
        if (!device) return skip('no such matrix unit here');
        const allowed = proof.matrixTolerance ?? tolerance;
        expect(await compareWithFloat64(device, halfSamples, operands, allowed)).toEqual([]);
        const tight = proof.splits ? await unitDevice(unit, 4 * TIGHT) : null;
        if (!tight) return;
        expect(await compareWithFloat64(tight, halfSplits, operands, allowed)).toEqual([]);
      },
    );

    describe.each(TUNINGS)('$tuning', ({ open, tight }) => {
      it('agrees with PyTorch in value and gradients', async () => {
        const device = await open();
        const { cases, tensor } = await golden();
        const wrong: string[] = [];
        const check = (what: string, found: Values, expected: Values) => {
          const problem = compare(found, expected, allowance);
          if (problem) wrong.push(`${what}: ${problem}`);
        };
        for (const { name, inputs, options, output, gradOutput, grads } of cases) {
          const values = inputs.map((key) => floats(tensor(key)));
          const weights = floats(tensor(gradOutput!)).data;
          const result = await evaluate(device, values, options as Json, weights);
          check(`value of case ${name}`, result.value, floats(tensor(output)));
          grads.forEach((key, i) => {
            if (key) check(`gradient ${i} of case ${name}`, result.grads[i]!, floats(tensor(key)));
          });
        }
        expect(wrong).toEqual([]);
      });

      it('agrees with float64 over awkward shapes', async () => {
        expect(await compareWithFloat64(await open(), samples)).toEqual([]);
      });

      const whenSplit = proof.splits ? it : null;
      whenSplit?.('agrees with float64 where tensors exceed a binding', async () => {
        const device = await tight();
        expect(device.bindingBytes).toBe(4 * TIGHT);
        const sizes = splits.flatMap((make) => make().inputs.map(({ data }) => data.length));
        expect(Math.max(...sizes)).toBeGreaterThan(TIGHT);
        expect(await compareWithFloat64(device, splits)).toEqual([]);
      });

      const whenMultiplied = operands > 0 ? it : null;
      whenMultiplied?.('agrees with float64 where the operands are float16', async () => {
        expect(await compareWithFloat64(await open(), halfSamples, operands)).toEqual([]);
      });

      const whenBoth = operands > 0 && proof.splits ? it : null;
      whenBoth?.('agrees with float64 where float16 operands exceed a binding', async () => {
        expect(await compareWithFloat64(await tight(), halfSplits, operands)).toEqual([]);
      });

      const whenLinear = proof.linearIn ? it : null;
      whenLinear?.('and its gradient are adjoint', async () => {
        const device = await open();
        const wrong: string[] = [];
        for (const make of samples) {
          const { label, options, inputs, weights } = make();
          const { value, grads } = await evaluate(device, inputs, options, weights);
          const image = value.data.map((v, i) => v * weights[i]!);
          const expected = image.reduce((total, v) => total + v, 0);
          for (const input of proof.linearIn ?? []) {
            const found = dot(grads[input]!.data, inputs[input]!.data);
            const allowed = tolerance * norm(image) + floor * Math.sqrt(image.length);
            if (!(Math.abs(found - expected) <= allowed)) {
              wrong.push(`input ${input}, ${label}: ⟨x, Aᵀ y⟩ is ${found}, ⟨A x, y⟩ ${expected}`);
            }
          }
        }
        expect(wrong).toEqual([]);
      });

      it('has the gradient of its own central differences', async () => {
        const device = await open();
        const wrong: string[] = [];
        for (const make of samples) {
          const { label, options, inputs, weights, slopes } = make();
          if (inputs.some(({ data }) => data.length > 2500)) continue;
          const at = async (shift: number, input = -1, direction?: ArrayLike<number>) => {
            const moved = inputs.map((x, i) =>
              i === input ? { ...x, data: x.data.map((v, j) => v + shift * direction![j]!) } : x,
            );
            return evaluate(device, moved, options, weights);
          };
          const { grads, value } = await at(0);
          for (const { input, direction } of slopes) {
            const eps = proof.step ?? 0.01;
            const ahead = await at(eps, input, direction);
            const behind = await at(-eps, input, direction);
            const slope =
              (dot(ahead.value.data, weights) - dot(behind.value.data, weights)) / (2 * eps);
            const grad = grads[input]!.data;
            // 1 %, and what rounding of the values may amount to after division by 2 eps.
            const noise = norm(value.data.map((v, i) => v * weights[i]!));
            const allowed = 0.01 * norm(grad) + 1e-4 * noise + 1e-5;
            const found = dot(grad, direction);
            if (!(Math.abs(found - slope) <= allowed)) {
              wrong.push(`gradient ${input}, ${label}: ${found}, differences give ${slope}`);
            }
          }
        }
        expect(wrong).toEqual([]);
      });
    });
  });
}

/**
 * Everything about a fuzz case that does not depend on the device.
 *
 * @param halves so many of the inputs, and the gradient of the output, are numbers that float16 holds exactly
 */
function sample<Options, Json>(
  proof: Proof<Options, Json>,
  fuzz: FuzzCase<Json>,
  index: number,
  halves: number,
) {
  const { op, reference } = proof;
  const { shapes, options } = fuzz;
  const seed = [...op.name].reduce((hash, c) => (31 * hash + c.charCodeAt(0)) >>> 0, index);
  const random = new Random(seed);
  const draw = proof.draw ?? ((r: Random, shape: Shape) => nd(shape, () => r.normal()).data);
  const inputs = shapes.map((shape, i) => ({
    shape,
    data: Float32Array.from(draw(random, shape, i), (v) => (i < halves ? roundedToHalf(v) : v)),
  }));
  const wide = inputs.map(widen);
  const value = reference(wide, options);
  const weights = Float32Array.from(value.data, () => {
    const weight = random.normal();
    return halves > 0 ? roundedToHalf(weight) : weight;
  });
  const slopes = inputs.flatMap(({ data }, input) =>
    [1, 2].map(() => {
      const direction = Float32Array.from(data, () => random.normal());
      const at = (shift: number) => {
        const moved = wide.map((x, i) =>
          i === input ? nd(x.shape, (j) => x.data[j]! + shift * direction[j]!) : x,
        );
        return dot(reference(moved, options).data, weights);
      };
      const eps = 1e-5;
      return { input, direction, slope: (at(eps) - at(-eps)) / (2 * eps) };
    }),
  );
  const json = JSON.stringify(options);
  const label = `shapes ${JSON.stringify(shapes)}, options ${json.slice(0, 80)}, seed ${seed}`;
  return { label, options, inputs, weights, value, slopes };
}

/**
 * Value and gradients on the GPU, with `weights` as the gradient of the output; no memory may stay behind. The first
 * `halves` inputs are converted to float16.
 */
async function evaluateOp<Options>(
  op: Op<Options>,
  device: Device,
  inputs: readonly Values[],
  makeOptions: () => Options,
  weights: Float32Array,
  halves: number,
): Promise<Result> {
  const before = device.memory.live;
  const options = makeOptions();
  const parameters = inputs.map(({ shape, data }) =>
    Parameter.of(Tensor.from(device, data, shape)),
  );
  const output = scope(() => {
    // Copies of the inputs and a copy of the result: those that the gradient does not say it reads are freed before it.
    const result = trimmed(() => {
      const given = parameters.map((x, i) => cast(x, i < halves ? 'f16' : 'f32'));
      return cast(op.apply(given, options), 'f32');
    });
    backwardFrom(result, Tensor.from(device, weights, result.shape));
    return result;
  });
  const value = { shape: output.shape, data: await output.floats() };
  const grads: Values[] = [];
  for (const { grad, shape } of parameters) {
    grads.push(
      grad ? { shape: grad.shape, data: await grad.floats() } : { shape, data: new Float32Array() },
    );
  }
  output.dispose();
  for (const parameter of parameters) parameter.dispose();
  for (const option of Object.values(options ?? {})) if (isDisposable(option)) option.dispose();
  const left = device.memory.live - before;
  if (left !== 0) throw new Error(`${op.name} left ${left} bytes alive after forward and backward`);
  return { value, grads };
}

function isDisposable(value: unknown): value is { dispose(): void } {
  return typeof value === 'object' && value !== null && 'dispose' in value;
}

interface Expected {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

interface Allowance {
  readonly relative: number;
  readonly floor: number;
  readonly elementwise?: boolean;
}

export function compare(found: Expected, expected: Expected, allowance: Allowance): string | null {
  if (found.shape.join() !== expected.shape.join()) {
    return `shape [${found.shape}], expected [${expected.shape}]`;
  }
  return difference(found.data, expected.data, allowance);
}

/** Null when all values are within the allowance; else the worst of them. */
export function difference(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  { relative, floor, elementwise = false }: Allowance,
): string | null {
  if (found.length !== expected.length)
    return `${found.length} values, expected ${expected.length}`;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  let worst = -1;
  let most = 1;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(found[i]! - expected[i]!);
    const allowed = Math.max(relative * (elementwise ? Math.abs(expected[i]!) : largest), floor);
    if (error <= most * allowed) continue; // said so that a NaN does not pass
    worst = i;
    if (Number.isNaN(error)) break;
    most = error / allowed;
  }
  if (worst < 0) return null;
  return `element ${worst} is ${found[worst]}, expected ${expected[worst]}: ${most.toPrecision(2)} times the allowed error`;
}

export function floats({ shape, data }: { shape: Shape; data: unknown }): Values {
  if (data instanceof Float32Array) return { shape, data };
  throw new Error('a golden tensor is not float32');
}

function widen({ shape, data }: Values): Nd {
  return { shape, data: Float64Array.from(data) };
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
