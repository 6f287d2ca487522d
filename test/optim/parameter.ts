import { Parameter } from '../../src/autograd/parameter.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';

/** A parameter of these values on the shared device. */
export async function parameter(values: readonly number[]): Promise<Parameter> {
  return Parameter.of(Tensor.from(await testDevice(), values));
}
