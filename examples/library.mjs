// Trains a small Direct-ABMIL model on random bags, with histograd as a library.
import * as hg from 'histograd';

const device = await hg.Device.open(); // a GPU, or the best software adapter there is
const context = { device, generator: new hg.Generator(1) }; // all randomness comes from here
const model = hg.createModel('direct-abmil', context, { width: 64, genes: 10 }, { hidden: 32 });
const bags = {
  features: hg.normal(device, [50, 64], context.generator.next()), // patches of all slides
  segments: hg.Segments.ofLengths(device, [20, 5, 25]), // three slides of 20, 5 and 25 patches
};
const targets = hg.normal(device, [3, 10], context.generator.next());
const parameters = model.namedParameters();
const optimizer = new hg.AdamW(parameters, { lr: 3e-3 });
for (let step = 1; step <= 100; step++) {
  const loss = hg.scope(() => {
    optimizer.zeroGrad();
    const loss = model.loss(bags, targets);
    hg.backward(loss);
    optimizer.step(hg.clipGradNorm(parameters.values(), 1));
    return loss; // everything else that the step created is freed here
  });
  if (step === 1 || step % 20 === 0) console.log(`step ${step}: loss ${await loss.item()}`);
  loss.dispose();
}

const { expression, attention } = await model.eval().predict(bags);
console.log('expression of the first slide:', expression.slice(0, 10));
console.log('attention of its first patches:', attention?.slice(0, 5));
device.close();
