/** A slide in pieces trains and predicts as the whole slide does, in the memory of one piece. */
import { describe, expect, it } from 'vitest';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { DirectAbmil } from '../../src/models/direct-abmil.ts';
import { streamedBackward, streamedPrediction } from '../../src/models/streamed-abmil.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

const SIZES = { width: 24, genes: 30 };
const OPTIONS = { hidden: 16, attention: 8, gated: true, dropout: 0 };

/** Rows with scores far apart, so that the pieces' maxima differ. */
function rows(count: number, width = SIZES.width): Float32Array {
  return Float32Array.from({ length: count * width }, (_, i) => 6 * Math.sin(0.37 * i * i + i));
}

function pieces(features: Float32Array, ...lengths: number[]) {
  return function* () {
    let start = 0;
    for (const length of lengths) {
      yield features.subarray(start * SIZES.width, (start + length) * SIZES.width);
      start += length;
    }
  };
}

const TARGETS = Float32Array.from({ length: SIZES.genes }, (_, i) => Math.cos(i));

async function gradients(model: DirectAbmil): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const [name, parameter] of model.namedParameters()) {
    found.set(name, await parameter.grad!.floats());
    parameter.grad = null;
  }
  return found;
}

/** Loss and gradients of the whole slide at once. */
async function wholeStep(model: DirectAbmil, features: Float32Array, targets: Tensor) {
  const { device } = targets;
  const count = features.length / SIZES.width;
  const loss = scope(() => {
    const segments = new Segments(device, [0, count]);
    const x = Tensor.from(device, features, [count, SIZES.width]);
    const value = model.loss({ features: x, segments }, targets);
    backward(value);
    segments.dispose();
    return value;
  });
  const value = await loss.item();
  loss.dispose();
  return { loss: value, grads: await gradients(model) };
}

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  const scale = Math.max(...Array.from(expected, Math.abs));
  const worst = Math.max(...Array.from(expected, (value, i) => Math.abs(value - found[i]!)));
  expect(found.length, what).toBe(expected.length);
  expect(worst / scale, what).toBeLessThan(1e-4);
}

describe.each([
  ['gated', { ...OPTIONS }, [37, 1, 100, 19]],
  ['plain', { ...OPTIONS, gated: false }, [100, 57]],
  ['with dropout, in one piece', { ...OPTIONS, dropout: 0.25 }, [157]],
])('streamedBackward, %s', (_, options, lengths) => {
  it('gives the loss and every gradient of the whole slide, and leaves nothing behind', async () => {
    const device = await testDevice();
    const model = new DirectAbmil({ device, generator: new Generator(5) }, SIZES, options);
    const targets = Tensor.from(device, TARGETS, [1, SIZES.genes]);
    const features = rows(157);
    const { generator } = model;
    const start = generator.offset;
    const before = device.memory.live;
    const whole = await wholeStep(model, features, targets);
    const end = generator.offset;
    generator.seek(start);
    const loss = await streamedBackward(model, pieces(features, ...lengths), targets);
    expect(generator.offset - end).toBe((lengths.length - 1) * (end - start));
    const streamed = await gradients(model);
    expect(loss).toBeCloseTo(whole.loss, 5);
    for (const [name, expected] of whole.grads) {
      // Its gradient is 0 but for rounding: a constant added to all scores changes nothing.
      if (name === 'attention.w.bias') continue;
      expectClose(streamed.get(name)!, expected, name);
    }
    expect(device.memory.live).toBe(before);
    model.dispose();
    targets.dispose();
  });
});

describe('streamedBackward', () => {
  it('draws the same dropout when it computes a piece again', async () => {
    const device = await testDevice();
    const options = { ...OPTIONS, dropout: 0.5 };
    const model = new DirectAbmil({ device, generator: new Generator(5) }, SIZES, options);
    const targets = Tensor.from(device, TARGETS, [1, SIZES.genes]);
    const features = rows(60);
    const start = model.generator.offset;
    const step = () => {
      model.generator.seek(start);
      return streamedBackward(model, pieces(features, 20, 40), targets);
    };
    await step();
    const slope = (await gradients(model)).get('embed.bias')!;
    // Against differences of the loss: another draw in the second pass would give another gradient.
    const bias = await model.embed.bias!.floats();
    const at = slope.reduce((best, v, i) => (Math.abs(v) > Math.abs(slope[best]!) ? i : best), 0);
    const lossAt = async (delta: number) => {
      model.embed.bias!.assign(bias.map((value, i) => (i === at ? value + delta : value)));
      const loss = await step();
      await gradients(model);
      return loss;
    };
    const numeric = ((await lossAt(0.02)) - (await lossAt(-0.02))) / 0.04;
    expect(numeric / slope[at]!).toBeCloseTo(1, 1);
    model.dispose();
    targets.dispose();
  });

  it('needs the memory of one piece, however many there are', async () => {
    const device = await Device.open();
    const model = new DirectAbmil({ device, generator: new Generator(5) }, SIZES, OPTIONS);
    const targets = Tensor.from(device, TARGETS, [1, SIZES.genes]);
    const piece = rows(256);
    const repeated = (times: number) => () => Array<Float32Array>(times).fill(piece);
    const peakAfter = async (times: number) => {
      await streamedBackward(model, repeated(times), targets);
      await gradients(model);
      return device.memory.peak;
    };
    const few = await peakAfter(2);
    expect(await peakAfter(12)).toBe(few);
    device.close();
  });

  it('refuses pieces that are no rows, none, and others the second time', async () => {
    const device = await testDevice();
    const model = new DirectAbmil({ device, generator: new Generator(5) }, SIZES, OPTIONS);
    const targets = Tensor.from(device, TARGETS, [1, SIZES.genes]);
    const before = device.memory.live;
    const step = (given: () => Iterable<Float32Array>) => streamedBackward(model, given, targets);
    await expectError(
      () => step(() => [rows(2), new Float32Array(25)]),
      'shape',
      /whole rows of 24.*25/,
    );
    await expectError(() => step(() => []), 'shape', /at least one piece, found none/);
    let calls = 0;
    const fewer = () => (calls++ === 0 ? [rows(4), rows(3)] : [rows(4)]);
    await expectError(
      () => step(fewer),
      'shape',
      /piece 1 had 72 numbers the first time, and has 0/,
    );
    for (const parameter of model.namedParameters().values()) parameter.grad = null;
    expect(device.memory.live).toBe(before);
    model.dispose();
    targets.dispose();
  });
});

describe('streamedPrediction', () => {
  it('is the prediction of the whole slide', async () => {
    const device = await testDevice();
    const model = new DirectAbmil({ device, generator: new Generator(5) }, SIZES, OPTIONS);
    model.eval();
    const features = rows(90);
    const x = Tensor.from(device, features, [90, SIZES.width]);
    const segments = new Segments(device, [0, 90]);
    const whole = await model.predict({ features: x, segments });
    const streamed = await streamedPrediction(model, pieces(features, 30, 59, 1));
    expectClose(streamed.expression, whole.expression, 'expression');
    expectClose(streamed.attention!, whole.attention!, 'attention');
    segments.dispose();
    for (const each of [x, model]) each.dispose();
  });
});
