/**
 * A step recorded once and replayed: the same dispatches on the same buffers, without the work of finding them again.
 *
 * Of the calls with inputs of the same shapes, the first runs as it is (and compiles), the second and third are
 * recorded and compared, and all later ones are replays. They give the same bits as running the step, at a fraction of
 * the cost per dispatch (WebGPU has no command buffers to submit twice, so that each replay encodes them anew).
 */
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

/** What is known of the inputs of one set of shapes. */
interface Plan {
  /** The step's own copies of the inputs; made when it is first recorded. */
  inputs: NamedTensors | null;
  take: Take | null;
  /** Two recordings were the same. */
  sure: boolean;
}

/** Sets of shapes that are captured; each holds the memory of a step. */
const MOST_PLANS = 4;

export class CapturedStep<Inputs extends NamedTensors, Outputs extends NamedTensors> {
  readonly #device: Device;
  readonly #body: (inputs: Inputs) => Outputs;
  readonly #plans = new Map<string, Plan>();
  #replays = 0;

  /**
   * @param body one whole step, such as loss, `backward`, the optimiser's step and `zeroGrad`. It reads nothing back,
   *   leaves no tensor behind but those that it returns, and works with the same model, mode (`train()`, `eval()`),
   *   optimiser and other data each time; what differs from step to step comes as inputs, or as a function: an
   *   optimiser's `factor`. Its learning rates, its step counts and the draws of a `Generator` are taken anew anyway.
   */
  constructor(device: Device, body: (inputs: Inputs) => Outputs) {
    this.#device = device;
    this.#body = body;
  }

  /** How many calls of `run` were replays. */
  get replays(): number {
    return this.#replays;
  }

  /**
   * Does the step. Inputs are copied; of more than four sets of shapes, the step of the others just runs.
   *
   * @returns new tensors, the caller's
   * @throws HistogradError `capture` in the third step, when it did not do the same as the second; `use-after-free`
   *   when something that the step works on was freed; what the step itself throws
   */
  run(inputs: Inputs): Outputs {
    const key = Object.entries(inputs)
      .map(([name, { shape, dtype }]) => `${name} ${dtype} ${shape.join(' ')}`)
      .join();
    const plan = this.#plans.get(key);
    if (!plan) {
      if (this.#plans.size < MOST_PLANS) {
        this.#plans.set(key, { inputs: null, take: null, sure: false });
      }
      return scope(() => this.#body(inputs));
    }
    plan.inputs ??= mapTensors(inputs, ({ device, shape, dtype }) =>
      keep(Tensor.empty(device, shape, dtype, 'input of a captured step')),
    );
    for (const [name, own] of Object.entries(plan.inputs)) copyInto(inputs[name]!, own);
    if (plan.take && plan.sure) {
      plan.take.recording.replay();
      this.#replays++;
    } else this.#record(plan);
    return mapTensors(plan.take!.outputs, (output) => {
      const result = Tensor.empty(output.device, output.shape, output.dtype, 'result of a step');
      copyInto(output, result);
      return result;
    }) as Outputs;
  }

  /** Frees the memory that the step keeps. */
  dispose(): void {
    for (const { inputs, take } of this.#plans.values()) {
      for (const input of Object.values(inputs ?? {})) input.dispose();
      if (take) this.#free(take);
    }
    this.#plans.clear();
  }

  #record(plan: Plan): void {
    const before = plan.take;
    const { result, recording, reserved } = this.#device.record(() =>
      scope(() => this.#body(plan.inputs as Inputs)),
    );
    for (const tensor of Object.values(result)) keep(tensor);
    plan.take = { recording, reserved, outputs: result };
    if (!before) return;
    this.#free(before);
    before.recording.requireSame(recording);
    plan.sure = true;
  }

  #free({ reserved, outputs }: Take): void {
    for (const buffer of reserved) this.#device.release(buffer);
    for (const output of Object.values(outputs)) output.dispose();
  }
}

function mapTensors(tensors: NamedTensors, map: (tensor: Tensor) => Tensor): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, map(tensor)]));
}

function copyInto(from: Tensor, to: Tensor): void {
  if (from.size > 0) from.device.copy(from.buffer, to.buffer, 4 * from.size);
}
