// Trains a small Direct-ABMIL model on random bags, with histograd as a library.
import {
  AdamW,
  backward,
  clipGradNorm,
  Device,
  DIRECT_ABMIL,
  DirectAbmil,
  Generator,
  normal,
  Segments,
  scope,
} from 'histograd';

const device = await Device.open(); // a GPU, or the best software adapter there is
const generator = new Generator(1); // all randomness: weights, data, dropout
const sizes = { width: 64, genes: 10 };
const model = new DirectAbmil({ device, generator }, sizes, {
  ...DIRECT_ABMIL,
  hidden: 32,
  attention: 16,
});
const bags = {
  features: normal(device, [50, sizes.width], generator.next()), // all patches of all bags
  segments: Segments.ofLengths(device, [20, 5, 25]), // three slides of 20, 5 and 25 patches
};
const targets = normal(device, [3, sizes.genes], generator.next());
const optimizer = new AdamW(model.namedParameters(), { lr: 3e-3 });
for (let step = 0; step < 100; step++) {
  const loss = scope(() => {
    optimizer.zeroGrad();
    const loss = model.loss(bags, targets);
    backward(loss);
    optimizer.step(clipGradNorm(model.namedParameters().values(), 1));
    return loss; // everything else that the step created is freed here
  });
  if (step % 20 === 0 || step === 99)
    console.log(`step ${step}: loss ${(await loss.item()).toFixed(4)}`);
  loss.dispose();
}
const { expression, attention } = await model.eval().predict(bags);
console.log('expression of the first slide:', expression.slice(0, sizes.genes));
console.log('attention of its first patches:', attention.slice(0, 5));
device.close();
