/** Parameters (weights [in, out]) and inputs of the training steps, of benches/steps.ts. */
export const MLP = {
  parameters: [[1024, 512], [512], [512, 4927], [4927]],
  inputs: [
    [128, 1024],
    [128, 4927],
  ],
};

export const ABMIL = {
  parameters: [
    [1024, 512],
    [512],
    [512, 256],
    [256],
    [512, 256],
    [256],
    [256, 1],
    [1],
    [512, 20530],
    [20530],
  ],
  inputs: [
    [4096, 1024],
    [1, 20530],
  ],
};
