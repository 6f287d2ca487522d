/**
 * A step recorded once and replayed: the same dispatches on the same buffers, without the work of finding them again.
 *
 * Of the calls with inputs of the same shapes, the first runs as it is (and compiles), the second and third are
 * recorded and compared, and all later ones are replays. They give the same bits as running the step, at a fraction of
 * the cost per dispatch (WebGPU has no command buffers to submit twice, so that each replay encodes them anew).
 */
import type { HistogradError } from '../errors.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import type { Device } from '../gpu/device.ts';
import type { Recording } from '../gpu/recording.ts';
import { keep, scope } from './scope.ts';
import { Tensor } from './tensor.ts';

type NamedTensors = Readonly<Record<string, Tensor>>;

/** A recording with its memory. */
interface Take {
  readonly recording: Recording;
  readonly reserved: readonly PooledBuffer[];
  readonly outputs: NamedTensors;
}

/** What is known of the steps with inputs of one set of shapes. */
interface Plan {
  /** The step's own copies of the inputs. */
  readonly inputs: NamedTensors;
  take: Take | null;
  /** Two recordings were the same. */
  sure: boolean;
}

export interface CaptureOptions {
  /** Bytes that recorded steps may keep, all together; steps beyond that just run. Default: no limit. */
  readonly mostBytes?: number;
  /** Told of a step that cannot be replayed; such steps just run from then on, and `run` does not throw. */
  readonly onRefused?: (error: HistogradError) => void;
}

/** Sets of shapes that are captured; each holds the memory of a step. */
const MOST_PLANS = 4;
/** Sets of shapes that are remembered, to see which of them come again. */
const MOST_SEEN = 256;

export class CapturedStep<Inputs extends NamedTensors, Outputs extends NamedTensors> {
  readonly #device: Device;
  readonly #body: (inputs: Inputs) => Outputs;
  readonly #options: CaptureOptions;
  /** Null for steps that are not captured. */
  readonly #plans = new Map<string, Plan | null>();
  readonly #seen = new Set<string>();
  #replays = 0;

  /**
   * @param body one whole step, such as loss, `backward`, the optimiser's step and `zeroGrad`. It reads nothing back,
   *   leaves no tensor behind but those that it returns, and works with the same model, mode (`train()`, `eval()`),
   *   optimiser and other data each time; what differs from step to step comes as inputs, or as a function: an
   *   optimiser's `factor`. Its learning rates, its step counts and the draws of a `Generator` are taken anew anyway.
   */
  constructor(device: Device, body: (inputs: Inputs) => Outputs, options: CaptureOptions = {}) {
    this.#device = device;
    this.#body = body;
    this.#options = options;
  }

  /** How many calls of `run` were replays. */
  get replays(): number {
    return this.#replays;
  }

  /**
   * Does the step. Inputs are copied; of more than four sets of shapes, the step of the others just runs.
   *
   * @param variant tells apart steps on inputs of the same shapes that do different things
   * @returns new tensors, the caller's
   * @throws HistogradError `capture` in the third step, when it did not do the same as the second; `use-after-free`
   *   when something that the step works on was freed; what the step itself throws
   */
  run(inputs: Inputs, variant = ''): Outputs {
    const plan = this.#planFor(inputs, variant);
    if (!plan) return scope(() => this.#body(inputs));
    for (const [name, own] of Object.entries(plan.inputs)) copyInto(inputs[name]!, own);
    const { take, sure } = plan;
    if (!take || !sure) return this.#record(plan, keyOf(inputs, variant)) as Outputs;
    take.recording.replay();
    this.#replays++;
    return copies(take.outputs) as Outputs;
  }

  /** Frees the memory that the step keeps. */
  dispose(): void {
    for (const key of [...this.#plans.keys()]) this.#drop(key);
    this.#plans.clear();
    this.#seen.clear();
  }

  /** A plan is made when shapes come for the second time. */
  #planFor(inputs: Inputs, variant: string): Plan | null {
    const key = keyOf(inputs, variant);
    const found = this.#plans.get(key);
    if (found !== undefined) return found;
    if (!this.#seen.has(key)) {
      this.#seen.add(key);
      const [oldest] = this.#seen;
      if (this.#seen.size > MOST_SEEN && oldest !== undefined) this.#seen.delete(oldest);
      return null;
    }
    if (this.#taken().length === MOST_PLANS) return null;
    const plan = {
      inputs: mapTensors(inputs, ({ device, shape, dtype }) =>
        keep(Tensor.empty(device, shape, dtype, 'input of a captured step')),
      ),
      take: null,
      sure: false,
    };
    this.#plans.set(key, plan);
    return plan;
  }

  /** Does the step while it is recorded. */
  #record(plan: Plan, key: string): NamedTensors {
    const before = plan.take;
    plan.take = null;
    if (before) this.#free(before); // the same memory again
    const { result, recording, reserved } = this.#device.record(() =>
      scope(() => this.#body(plan.inputs as Inputs)),
    );
    for (const tensor of Object.values(result)) keep(tensor);
    plan.take = { recording, reserved, outputs: result };
    const outputs = copies(result);
    const { mostBytes = Infinity, onRefused } = this.#options;
    if (this.#bytes() > mostBytes) this.#drop(key);
    if (!before) return outputs;
    const error = before.recording.difference(recording);
    if (error) {
      this.#drop(key);
      if (!onRefused) throw error;
      onRefused(error);
    }
    plan.sure = true;
    return outputs;
  }

  #taken(): Plan[] {
    return [...this.#plans.values()].filter((plan) => plan !== null);
  }

  #bytes(): number {
    const buffers = this.#taken().flatMap(({ take, inputs }) => [
      ...(take?.reserved ?? []),
      ...Object.values(inputs).map(({ buffer }) => buffer),
    ]);
    return buffers.reduce((total, { bytes }) => total + bytes, 0);
  }

  /** Frees a plan; its steps just run from now on. */
  #drop(key: string): void {
    const plan = this.#plans.get(key);
    this.#plans.set(key, null);
    if (!plan) return;
    for (const input of Object.values(plan.inputs)) input.dispose();
    if (plan.take) this.#free(plan.take);
  }

  #free({ reserved, outputs }: Take): void {
    for (const buffer of reserved) this.#device.release(buffer);
    for (const output of Object.values(outputs)) output.dispose();
  }
}

function keyOf(inputs: NamedTensors, variant: string): string {
  const shapes = Object.entries(inputs).map(
    ([name, { shape, dtype }]) => `${name} ${dtype} ${shape.join(' ')}`,
  );
  return [variant, ...shapes].join();
}

/** New tensors of the same values. */
function copies(outputs: NamedTensors): NamedTensors {
  return mapTensors(outputs, (output) => {
    const result = Tensor.empty(output.device, output.shape, output.dtype, 'result of a step');
    copyInto(output, result);
    return result;
  });
}

function mapTensors(tensors: NamedTensors, map: (tensor: Tensor) => Tensor): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, map(tensor)]));
}

function copyInto(from: Tensor, to: Tensor): void {
  if (from.size > 0) from.device.copy(from.buffer, to.buffer, from.bytes);
}
